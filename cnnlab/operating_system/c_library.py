"""Functions of the C library: a limit of what glibc keeps of freed memory.

Look inside makes and frees arrays of up to 30 MB. When glibc sees such a block freed, it raises its threshold and keeps
blocks of that size, in one heap per thread: a server with thirty browsers keeps a few hundred MB unused. A fixed
threshold prevents this. Blocks below it, such as the maps of an image, are kept and reused up to TRIM_BYTES a heap.
With thresholds of 0.5 and 2 MB the kernel, which took and gave the same memory again and again, used two fifths of the
processor time of pages of Look inside (6.3 of 16.6 s; 0.8 s with these). Uploaded photos and their copies are larger.

The number of heaps is limited too: script threads take turns anyhow, and each heap keeps some unused blocks.
"""

import ctypes
import functools
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # the constants M_... in <malloc.h>
MMAP_BYTES = 4 * 2**20  # bytes; a block of this size or more returns to the system when it is freed
TRIM_BYTES = 16 * 2**20  # bytes that a heap may keep
HEAPS = 2


@functools.cache
def limit_malloc_cache() -> bool:
    """Set the thresholds and the number of heaps, once per process; False where the C library is not glibc."""
    mallopt = c_library_function("mallopt")
    limits = ((MMAP_THRESHOLD, MMAP_BYTES), (TRIM_THRESHOLD, TRIM_BYTES), (ARENA_MAX, HEAPS))
    return bool(mallopt and all(mallopt(name, value) for name, value in limits))


def c_library_function(name: str) -> Any:
    """A function of the C library that this process uses; None where it has none of that name, and on Windows."""
    try:
        return getattr(ctypes.CDLL(None, use_errno=True), name, None)
    except (OSError, TypeError):  # Windows
        return None
