"""Questions asked of a forward pass: which map, which pixel, which filter, why this class.

Every function takes arrays (a run's weights, the stages of an image) and returns arrays or a small frozen object that
holds them. Nothing here reads a file, draws, or keeps anything between two calls.

    field          which part of the image a pixel of a map can see
    maps           maps ranked by strength; silent and dead filters; filters that prefer a class
    pixel          the arithmetic of one pixel, to the last number
    kernels        first-layer kernels as pictures; a kernel changed by hand
    pairing        two runs, filter by filter
    ablation       filters switched off
    evidence       why this class: occlusion and Grad-CAM
    regularizers   what dropout, L2 and batch normalization did
    responses      a whole test set: what excites each filter most

Throughout, a "stage" is a layer's name as `forward.stages` gives it ("conv1", "relu1", "pool1", ...), rows count from
the top, columns from the left, filters and classes from 0.
"""

from cnnlab.lens.ablation import activation_of, all_but, strongest, switched_off
from cnnlab.lens.evidence import GradCam, Occlusion, enlarge, grad_cam, occlusion
from cnnlab.lens.field import Box, receptive_field, stage_shape
from cnnlab.lens.kernels import KernelPictures, kernel_pictures, with_kernel
from cnnlab.lens.maps import MapFacts, dead_filters, map_facts, rank, selectivity, silent, strength
from cnnlab.lens.pairing import kept_numbers, most_alike, same_start
from cnnlab.lens.pixel import PixelSum, PoolWindow, Step, pixel_sum, pool_window
from cnnlab.lens.regularizers import (
    DropoutSamples,
    Normalization,
    WeightSummary,
    dropout_samples,
    normalizations,
    weight_summaries,
)
from cnnlab.lens.responses import Gallery, Picked, Responses, gallery, strongest_responses

__all__ = [
    "Box",
    "DropoutSamples",
    "Gallery",
    "GradCam",
    "KernelPictures",
    "MapFacts",
    "Normalization",
    "Occlusion",
    "Picked",
    "PixelSum",
    "PoolWindow",
    "Responses",
    "Step",
    "WeightSummary",
    "activation_of",
    "all_but",
    "dead_filters",
    "dropout_samples",
    "enlarge",
    "gallery",
    "grad_cam",
    "kept_numbers",
    "kernel_pictures",
    "map_facts",
    "most_alike",
    "normalizations",
    "occlusion",
    "pixel_sum",
    "pool_window",
    "rank",
    "receptive_field",
    "same_start",
    "selectivity",
    "silent",
    "stage_shape",
    "strength",
    "strongest",
    "strongest_responses",
    "switched_off",
    "weight_summaries",
    "with_kernel",
]
