"""The images of a selection on the page Mistakes, fifteen at a time, and the menus that select and sort them."""

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab.inspect.feature_maps import ORDER_PARAM
from cnnlab.ui import image_grid, query_state, test_results
from cnnlab.ui.image_grid import GridImage
from cnnlab.ui.state import session_key, url_param
from cnnlab.ui.test_results import TestResults

ORDERS = {"surest": "most confident first", "unsure": "least confident first"}
TRUE_CLASS_PARAM, PREDICTED_PARAM, PAGE_PARAM = url_param("true_class"), url_param("predicted"), url_param("page")
SESSION_SHOWN = session_key("mistakes.images.shown")  # the selection whose images were drawn last
ANY_CLASS = "any"
IMAGES_PER_PAGE = 15


def true_class_menu(classes: Sequence[str]) -> str:
    """The menu of true classes; "" for any."""
    names = {"": "any class"} | {name: name for name in classes}
    return query_state.select_param(TRUE_CLASS_PARAM, "True class", names, width=150)


def is_confident_first() -> bool:
    """The control for the order; whether the images with the highest confidence come first."""
    return query_state.segmented_param(ORDER_PARAM, "Order", ORDERS) == "surest"


def image_pages(
    results: TestResults,
    numbers: NDArray[np.int64],
    selection_name: str,
    caption: Callable[[int], tuple[list[str], str]],
) -> None:
    """One page of images, and the buttons of the pages. `caption` returns the lines under an image and its alt text."""
    image_set, problem = test_results.available_images(results)
    if problem:
        st.info(problem)
    if image_set is None:
        return
    available = numbers[numbers < len(image_set.labels)]
    if not len(available):
        return
    page_count = -(-len(available) // IMAGES_PER_PAGE)
    container = st.container()
    shown = f"{results.run.name} {selection_name}"
    if st.session_state.setdefault(SESSION_SHOWN, shown) != shown:  # of another selection: from its first page
        st.session_state[SESSION_SHOWN] = shown
        query_state.set_param(PAGE_PARAM, None)
    page = query_state.page_param(PAGE_PARAM, page_count)
    tiles = []
    for number in available[(page - 1) * IMAGES_PER_PAGE : page * IMAGES_PER_PAGE].tolist():
        lines, alt = caption(number)
        params = {"run": results.run.name, "image": image_set.image_name(number)}
        tiles.append(GridImage(pixels=np.asarray(image_set.images[number]), params=params, caption=lines, alt=alt))
    with container:
        image_grid.image_grid(tiles)
