"""Limits the memory of the web process: freed arrays return to the system at once.

Look inside makes and frees arrays of up to 30 MB. When glibc sees such a block freed, it raises its threshold and keeps
blocks of that size, in one heap per thread: a server with thirty browsers keeps a few hundred MB unused. A fixed
threshold prevents this. Small blocks, such as the maps of one image, are still kept and reused, so nothing becomes
slower.
"""

import ctypes
import functools

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in <malloc.h>
MMAP_BYTES = 2 * 2**20  # bytes; a block of this size or more returns to the system when it is freed
TRIM_BYTES = 4 * 2**20  # bytes that a heap may keep


@functools.cache
def limit_malloc_cache() -> bool:
    """Set the thresholds, once per process; False where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(MMAP_THRESHOLD, MMAP_BYTES) and mallopt(TRIM_THRESHOLD, TRIM_BYTES))
