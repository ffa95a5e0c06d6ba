"""The view "Top images": for one filter of each convolution layer, the images that activate it most, in one row.

All test images where the data set is on this machine; otherwise the twenty samples.
"""

import streamlit as st

from cnnlab.analysis import network_edits
from cnnlab.analysis import top_activations as analysis
from cnnlab.analysis.class_purity import class_purity, expected_purity, most_frequent_class
from cnnlab.array_types import Array
from cnnlab.explanations import notices
from cnnlab.inspect import feature_maps, map_controls, top_activations
from cnnlab.inspect.computation_panel import computation_panel
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.notice import notice
from cnnlab.jobs import shipped_top_images
from cnnlab.jobs.shipped_top_images import TopImages
from cnnlab.jobs.top_activations_file import COMPUTATION
from cnnlab.storage.imported_networks import StoredNetwork
from cnnlab.storage.runs import DamagedRun, Run
from cnnlab.ui import cache, query_state, selection
from cnnlab.ui.image_source import ImageSet, load_image_set, missing_images
from cnnlab.ui.state import session_key

Labeled = tuple[TopImages, Array]  # of all test images, and the true class of each
MAP = session_key("inspect.top_images.map.")  # and the layer


def top_images_view(context: InspectContext) -> None:
    """One cell for each convolution: the menu of maps, and the images with the receptive field framed."""
    image_set = load_image_set(context.run.dataset)
    if image_set.dataset != context.run.dataset:
        st.info(missing_images(context.run))
        return
    found = load_top_images(context.run)
    epoch = context.run.snapshot_epochs()[-1]
    if found is None and image_set.complete:
        computation_panel(context.run, COMPUTATION, "Which test images activate each filter most?")
        return
    if found is None:
        found = _sample_top_images(str(context.run.path), epoch, context.run)
    labeled = labeled_top_images(context.run)
    notice(purity_sentence(context, labeled, image_set))
    cells = feature_maps.grid_cells(len(context.convolution_names))
    for conv, cell in zip(context.convolution_names, cells, strict=True):
        with cell:
            layer_images(context, image_set, found, labeled, conv)
    when = f", at epoch {epoch}" if isinstance(context.run, Run) else ""
    chosen_from = f"all {found.images:,} test images" if image_set.complete else f"the {found.images} sample images"
    counted = (
        "" if image_set.complete or labeled is None else f" The counts are of all {labeled[0].images:,} test images."
    )
    st.caption(
        f"Chosen from {chosen_from} by the largest pixel of the map after ReLU{when}. The frame is the "
        f"receptive field of that pixel. Click an image to select it.{counted}"
    )


def load_top_images(run: StoredNetwork) -> TopImages | None:
    """The stored results of the run, computed here or shipped; None where there are none for this data set."""
    known = top_activations.load_top_activations(run)
    if known is not None:
        return shipped_top_images.from_top_activations(known)
    return load_shipped_top_images(run, top_activations.local_fingerprint(run.dataset))


def load_shipped_top_images(run: StoredNetwork, fingerprint: str) -> TopImages | None:
    """The results that came with the run, for the data set of this fingerprint; None where there are none."""
    moment = cache.modified_ns(run.path / shipped_top_images.FILE)
    if not moment or not fingerprint:
        return None
    return _load_shipped(str(run.path), moment, fingerprint, tuple(run.snapshot_epochs()), run)


@st.cache_resource(max_entries=12, show_spinner=False)
def _load_shipped(
    path: str, moment: int, fingerprint: str, epochs: tuple[int, ...], _run: StoredNetwork
) -> TopImages | None:
    return shipped_top_images.load(_run, fingerprint)


def labeled_top_images(run: StoredNetwork) -> Labeled | None:
    """The stored results, and the true classes of all test images, (n,); None where one of them is unknown.

    Without the data set they are those that came with the run: indices of its top images, labels of its predictions.
    """
    images = load_image_set(run.dataset)
    found = load_top_images(run)
    if found is not None and images.complete and images.dataset == run.dataset:
        return found, images.labels
    shipped = load_shipped_top_images(run, run.record.fingerprint or "") if isinstance(run, Run) else None
    if shipped is None:
        return None
    try:
        labels = cache.predictions(run).get("test_labels")
    except DamagedRun:
        return None
    return (shipped, labels) if labels is not None and len(labels) == shipped.images else None


@st.cache_resource(max_entries=12, show_spinner=False)
def _sample_top_images(path: str, epoch: int, _run: StoredNetwork) -> TopImages:
    images = load_image_set(_run.dataset).images
    maxima = analysis.max_activations(_run.layers, cache.weights(_run, epoch), images)
    examples = {name: analysis.select_examples(layer_maxima) for name, layer_maxima in maxima.items()}
    return TopImages(
        {name: layer_examples.top for name, layer_examples in examples.items()},
        {name: layer_examples.dead for name, layer_examples in examples.items()},
        len(images),
    )


def purity_sentence(context: InspectContext, labeled: Labeled | None, image_set: ImageSet) -> str:
    """The notice: how many of the images of a filter show one class, in the first and the last layer.

    labeled: of all test images; None where only the samples are here, which are too few to say it.
    """
    if labeled is None:
        return notices.few_samples_notice(image_set.labels)
    found, labels = labeled
    names = context.convolution_names[0], context.convolution_names[-1]
    purities = []
    for conv in names:
        relu = context.relu_name(conv)
        purities.append(class_purity(labels, found.examples[relu].images[~found.dead[relu]]))
    count = found.examples[context.relu_name(names[0])].images.shape[1]
    chance = expected_purity(count, len(image_set.classes))
    return notices.purity_notice(names, (purities[0], purities[1]), (count, found.images), chance)


def layer_images(
    context: InspectContext, image_set: ImageSet, found: TopImages, labeled: Labeled | None, conv: str
) -> None:
    """The menu of maps of one layer, by default the strongest on the selected image, and its images."""
    relu = context.relu_name(conv)
    maps = context.activations[relu][0]
    last = maps.shape[-1] - 1
    number = map_menu(context, conv, int(maps.max(axis=(0, 1)).argmax()), last)
    if found.dead[relu][number]:
        zero = f"zero on all {found.images:,} images."
        st.markdown(f"Map {number} is {f'**dead**: {zero}' if image_set.complete else zero}")
        return
    st.markdown(layer_heading(conv, number, relu, labeled, image_set))
    top_activations.example_images(context, image_set, conv, number, found.examples[relu], "top")


def layer_heading(conv: str, number: int, relu: str, labeled: Labeled | None, image_set: ImageSet) -> str:
    """The layer, the map, and the most frequent class of its images among all test images, where that is known."""
    title = f"**{conv}**, map {number}"
    if labeled is None or labeled[0].dead[relu][number]:
        return title
    found, labels = labeled
    chosen = found.examples[relu].images[number]
    label, count = most_frequent_class(labels[chosen])
    among = "" if image_set.complete else f" strongest of {found.images:,} test images"
    return f"{title}: **{count} of {len(chosen)}**{among} show the class {image_set.classes[label]}"


def map_menu(context: InspectContext, conv: str, strongest: int, last: int) -> int:
    """The number of the map whose images are shown; in the URL where it is not the strongest."""
    chosen = chosen_maps(context)
    key = f"{MAP}{conv}"
    st.session_state[key] = chosen.get(conv, strongest)

    def on_change() -> None:
        maps = {name: [number] for name, number in (chosen | {conv: int(st.session_state[key])}).items()}
        query_state.set_param(map_controls.TOP_MAPS_PARAM, network_edits.format_filters(maps))

    st.number_input(f"Map of {conv}, 0 to {last}", 0, last, key=key, on_change=on_change, width=150)
    return chosen.get(conv, strongest)


def chosen_maps(context: InspectContext) -> dict[str, int]:
    """The map of each layer that the URL names; none where it names maps that the network does not have."""
    counts = {conv: map_controls.map_count(context, conv) for conv in context.convolution_names}
    try:
        found = network_edits.parse_filters(st.query_params.get(map_controls.TOP_MAPS_PARAM, ""), counts)
    except ValueError as problem:
        query_state.set_param(map_controls.TOP_MAPS_PARAM, None)
        selection.show_problems([f"This address names maps that this network does not have. {problem}"])
        return {}
    return {conv: min(numbers) for conv, numbers in found.items()}
