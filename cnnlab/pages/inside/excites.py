"""What excites a filter: the nine test images that do it most and, honestly beside them, nine from its middle range."""

import streamlit as st

from cnnlab import lens
from cnnlab.lens import Picked
from cnnlab.pages import address, selection
from cnnlab.pages.inside import tiles, top
from cnnlab.pages.inside.scene import Scene
from cnnlab.pages.shelf import Shelf, shelf, thumbnails
from cnnlab.walls import data_uri

COLUMNS = 3
ANOTHER = "inside another picture"  # told to the page, which draws itself anew


def view(scene: Scene, conv: str, number: int) -> None:
    """Two galleries of nine, the receptive field of the strongest pixel framed; a click opens a picture."""
    st.markdown(f"#### What excites map {number} of {conv}")
    known = top.of(scene.run)
    pictures = shelf(scene.run.experiment.dataset)
    if not pictures.whole:
        st.caption(
            "This is asked of all test images, which are not on this machine: prepare CIFAR-10 on the page Train."
        )
        return
    if known is None:
        top.offer(scene.run, "Which test images excite a filter most?")
        return
    found = known.galleries[scene.activation(conv)]
    if found.dead[number]:
        st.caption(f"Nothing: it is zero on all {known.images:,} test images.")
        return
    with st.container(width=620):
        left, right = st.columns(2)
        with left:
            nine(scene, pictures, conv, number, found.top, "most")
        with right:
            nine(scene, pictures, conv, number, found.middle, "half as much")
    st.caption(
        f"Nine that excite it most make a filter look cleverer than it is; nine from the middle of its range "
        f"({tiles.values(float(found.low[number]), float(found.high[number]))} over {known.images:,} images) show what "
        f"else it answers. The frame is what the strongest pixel can see."
    )


def nine(scene: Scene, pictures: Shelf, conv: str, number: int, picked: Picked, how: str) -> None:
    """Nine pictures with their frames."""
    images = [int(image) for image in picked.images[number]]
    squares, boxes = [], []
    for place, image in enumerate(images):
        row, column = divmod(place, COLUMNS)
        kind, value = pictures.classes[int(pictures.labels[image])], float(picked.values[number][place])
        said = f"{kind}, {tiles.number(value)}"
        squares.append(tiles.Square(number=image, at=(column, row), name=f"test image {image}", value=said))
        box = lens.receptive_field(
            scene.layers,
            scene.activation(conv),
            int(picked.rows[number][place]),
            int(picked.columns[number][place]),
        )
        boxes.append(tuple(edge / 33 + start for edge, start in zip(
            (box.left, box.top, box.right, box.bottom), (column, row, column, row), strict=True
        )))  # fmt: skip
    st.markdown(f"**{how}**")
    picture = tiles.Picture(
        uri=data_uri(thumbnails(pictures.dataset, tuple(images), COLUMNS)),
        columns=COLUMNS,
        rows=-(-len(images) // COLUMNS),
        squares=squares,
        boxes=boxes,  # type: ignore[arg-type]
    )
    kinds = ", ".join(f"{pictures.classes[int(pictures.labels[image])]} {image}" for image in images)
    tiles.draw(
        picture, f"nine {how}", f"Test images that excite map {number} of {conv} {how}: {kinds}.",
        on_pick=lambda image: _show(pictures.reference(image)),
    )  # fmt: skip


def _show(reference: str) -> None:
    address.put("from", None)
    selection.choose(image=reference)
    st.session_state[ANOTHER] = True
