"""What a person sees: one module a page, each with a function `page()` that reads top to bottom.

What to notice; widgets that end in one experiment or one selection; one or two cached calls; drawing. A page does no
arithmetic and touches no file: it asks the modules below it. Only this package knows Streamlit.

    frame       what stands around every page: how many trainings run, which one has just finished, who is looking
    selection   what is being looked at (run, image, epoch, layer, map), and how it is written in the address
    address     what a page adds to the address beside it: which view is open, which order
    cached      the slow questions, asked once
    shelf       the pictures to choose from
    heap        what NumPy gave up goes back to the system

Here NumPy is told, before it is loaded, to use one thread for a matrix product. The products of one image are small:
with two threads a click costs twice the processor, because one waits for the other in circles, and thirty browsers
share it.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
