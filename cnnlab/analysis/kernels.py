"""Kernels of the first layer as images, and replacing a kernel by hand.

The kernels of the first layer read red, green and blue, so they can be shown as small color images. Weights have a
sign: zero is drawn as middle gray, positive weights brighter and negative ones darker, each color channel by itself.
"""

from dataclasses import dataclass

import numpy as np

from cnnlab.array_types import Array, Weights

GRAY = 127.5


@dataclass(frozen=True, eq=False)
class KernelImages:
    """First-layer kernels as images.

    pixels: uint8 (f, kh, kw, 3), zero drawn as 128; vmax: float32 (f,), the weight drawn as 255, its negative as 0.
    """

    pixels: Array
    vmax: Array


def kernel_images(kernel: Array, scale: str = "layer") -> KernelImages:
    """First-layer kernels (kh, kw, 3, f) as images, on one scale for the layer or one for each filter.

    `scale` is "layer" (strengths can be compared) or "filter" (details are visible). A kernel of zeros stays gray.
    Raises ValueError where the kernels do not read three color channels.
    """
    if kernel.ndim != 4 or kernel.shape[2] != 3:
        raise ValueError(f"Expected first-layer kernels (kh, kw, 3, f). Received: shape={kernel.shape}")
    if scale not in ("layer", "filter"):
        raise ValueError(f"Expected scale='layer' or scale='filter'. Received: scale={scale!r}")
    images = kernel.transpose(3, 0, 1, 2)
    vmax = np.abs(images).max(axis=(1, 2, 3))
    if scale == "layer":
        vmax = np.full_like(vmax, vmax.max())
    share = images / np.where(vmax > 0, vmax, 1)[:, None, None, None]
    return KernelImages(np.rint(GRAY + GRAY * share).astype(np.uint8), vmax)


def replace_kernel(weights: Weights, filter: int, values: Array, layer: str = "conv1") -> dict[str, Array]:
    """The weights with one kernel replaced; the weights passed in are not changed.

    values: (kh, kw, channels), or (kh, kw) to use the same numbers for every channel (in the first layer: a kernel
    that reads brightness only). Raises ValueError for another shape, numbers that are not finite, or a filter that
    does not exist.
    """
    original = weights[f"{layer}/kernel"]
    values = np.asarray(values, np.float32)
    if not 0 <= filter < original.shape[-1]:
        raise ValueError(f"Expected a filter from 0 to {original.shape[-1] - 1}. Received: filter={filter}")
    if values.shape not in (original.shape[:2], original.shape[:3]) or not np.isfinite(values).all():
        raise ValueError(
            f"Expected finite numbers of shape {original.shape[:2]} or {original.shape[:3]}. "
            f"Received: shape={values.shape}, finite={bool(np.isfinite(values).all())}"
        )
    kernel = original.copy()
    kernel[..., filter] = values if values.ndim == 3 else values[..., None]
    return {**weights, f"{layer}/kernel": kernel}
