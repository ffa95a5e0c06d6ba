"""First-layer kernels as pictures, and a kernel changed by hand.

The kernels of the first layer look at red, green and blue, so they are pictures themselves, three by three pixels
small. Their numbers have a sign, which an ordinary picture cannot show; so zero is drawn as middle grey, positive
weights brighter and negative ones darker, each colour by itself: a kernel that likes red and dislikes blue is orange.
"""

from dataclasses import dataclass

import numpy as np

from cnnlab.array_types import Array, Weights

GREY = 127.5


@dataclass(frozen=True, eq=False)
class KernelImages:
    """First-layer kernels, drawn.

    pixels: uint8 (f, kh, kw, 3), zero drawn as 128; limit: float32 (f,), the weight drawn as 255, its negative as 0.
    """

    pixels: Array
    vmax: Array


def kernel_images(kernel: Array, scale: str = "layer") -> KernelImages:
    """Draw first-layer kernels (kh, kw, 3, f), on one scale for the whole layer or one for each filter.

    `scale` is "layer" (compare strength) or "filter" (see detail). A kernel of zeros stays grey.
    Raises ValueError where the kernels do not read three colours.
    """
    if kernel.ndim != 4 or kernel.shape[2] != 3:
        raise ValueError(f"Expected first-layer kernels (kh, kw, 3, f). Received: shape={kernel.shape}")
    if scale not in ("layer", "filter"):
        raise ValueError(f"Expected scale='layer' or scale='filter'. Received: scale={scale!r}")
    pictures = kernel.transpose(3, 0, 1, 2)
    limit = np.abs(pictures).max(axis=(1, 2, 3))
    if scale == "layer":
        limit = np.full_like(limit, limit.max())
    share = pictures / np.where(limit > 0, limit, 1)[:, None, None, None]
    return KernelImages(np.rint(GREY + GREY * share).astype(np.uint8), limit)


def replace_kernel(weights: Weights, filter: int, values: Array, layer: str = "conv1") -> dict[str, Array]:
    """The weights with one kernel replaced; the weights handed in stay as they are.

    values: (kh, kw, channels), or (kh, kw) to use the same numbers for every channel (in the first layer: a kernel
    that sees no colours, only brightness). Raises ValueError for another shape, numbers that are not finite, or a
    filter that is not there.
    """
    old = weights[f"{layer}/kernel"]
    values = np.asarray(values, np.float32)
    if not 0 <= filter < old.shape[-1]:
        raise ValueError(f"Expected a filter from 0 to {old.shape[-1] - 1}. Received: filter={filter}")
    if values.shape not in (old.shape[:2], old.shape[:3]) or not np.isfinite(values).all():
        raise ValueError(
            f"Expected finite numbers of shape {old.shape[:2]} or {old.shape[:3]}. "
            f"Received: shape={values.shape}, finite={bool(np.isfinite(values).all())}"
        )
    kernel = old.copy()
    kernel[..., filter] = values if values.ndim == 3 else values[..., None]
    return {**weights, f"{layer}/kernel": kernel}
