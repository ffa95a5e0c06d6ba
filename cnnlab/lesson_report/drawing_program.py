"""The program that draws the images of Shapes beside an exported Keras program: 10 KB where the images take 35 MB."""

import inspect

from cnnlab.data import shape_drawing, shapes

FILE = "draw_shapes.py"
REPLACED = {  # what the module takes from this package
    "from cnnlab.array_types import PixelArray\n": "",
    "from cnnlab.datasets import DATASETS\n": "",
    'CLASSES = DATASETS["shapes"].classes\n': f"CLASSES = {shape_drawing.CLASSES!r}\nPixelArray = NDArray[np.uint8]\n",
}
# For the Keras program. The same seed gives the same images on every machine.
READ = f"""from {FILE.removesuffix(".py")} import generate

images, labels = generate({shapes.TRAIN_POOL + shapes.VALIDATION}, {shapes.SEED})
test_images, test_labels = generate({shapes.TEST}, {shapes.SEED + 1})"""


def drawing_program() -> str:
    """`shape_drawing` as a program that needs NumPy only."""
    source = inspect.getsource(shape_drawing)
    for ours, own in REPLACED.items():
        if ours not in source:
            raise LookupError(f"Expected this line in shape_drawing.py: {ours!r}")
        source = source.replace(ours, own)
    return source
