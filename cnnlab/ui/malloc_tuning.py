"""Keeps the web process small: memory that NumPy gave up goes back to the system at once.

Looking inside makes and drops arrays of up to 30 MB. Each time glibc sees such a block freed, it decides to keep blocks
of that size for later, in a heap of its own for each thread. A server with thirty browsers then keeps a few hundred MB
that nobody uses. Here it is told once where to draw the line. Small blocks, such as the maps of one image, are still
kept and used again, so nothing gets slower.
"""

import ctypes
import functools

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in <malloc.h>
MMAP_BYTES = 2 * 2**20  # bytes; a block from here on is given back when it is freed
TRIM_BYTES = 4 * 2**20  # bytes that a heap may keep for later


@functools.cache
def limit_malloc_cache() -> bool:
    """Do it, once a process; False where the C library is not glibc, which needs nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(MMAP_THRESHOLD, MMAP_BYTES) and mallopt(TRIM_THRESHOLD, TRIM_BYTES))
