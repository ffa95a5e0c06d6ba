"""What the pages share: the app's frame, URL parameters, caches, sign-in, and widgets of our own.

NumPy reads `OPENBLAS_NUM_THREADS` when it is imported. The web process uses one thread for a matrix product: the
products of one image are small, two threads cost twice the processor time, and all browsers share the processor.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
