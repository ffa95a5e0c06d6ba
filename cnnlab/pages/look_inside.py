"""The page Look inside: a run, an image, its prediction, and the views of `cnnlab.inspect`.

The first view shows every feature map of every convolution layer. Only the view that is open computes anything.
"""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from cnnlab.explanations import inspection
from cnnlab.inspect import (
    attribution,
    blocks,
    compare_runs,
    epoch_slider,
    feature_map,
    feature_maps,
    filter_ablation,
    image_controls,
    imported_network,
    kernels,
    network,
    perturbation,
    prediction,
    probes,
    receptive_fields,
    regularizer,
    top_activations,
    top_images,
    upload,
)
from cnnlab.inspect.context import VIEW_PARAM, InspectContext
from cnnlab.operating_system.c_library import limit_malloc_cache
from cnnlab.rendering.color_scale import upscaled_png
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.imported_networks import StoredNetwork
from cnnlab.storage.runs import DamagedRun, Run, UnknownRun
from cnnlab.ui import cache, damaged_runs, query_state, selected_network, selection
from cnnlab.ui.image_source import SelectedImage, load_image_set, missing_images, network_classes, select_image
from cnnlab.ui.selection import Selection
from cnnlab.ui.state import url_params_of

DEFAULT_RUN = "final-3conv-dropout"  # the report shows the feature maps of this one
# On a phone the row of views is scrolled; the open one stays visible at the end behind which it lies.
VIEW_STYLE = f"""<style>@media (max-width: 640px) {{
  .st-key-url-view [role="radiogroup"] {{ flex-wrap: nowrap; overflow-x: auto; }}
  .st-key-url-view [role="radiogroup"] > * {{ flex: 0 0 auto; }}
  .st-key-url-view [role="radiogroup"] > [aria-checked="true"] {{ position: sticky; left: 0; right: 0; z-index: 1;
    background-color: {feature_maps.PAGE_COLOR}; }}
}}</style><div id="views"></div>"""
# Neither the link nor its target takes room. Without it the views are twelve Tab stops into the page.
SKIP_LINK = """<style>
:has(> .st-key-skip_to_views), :has(> .st-key-views_start) { position: absolute; width: 1px !important; }
.skip-link { color: inherit; white-space: nowrap; }
.skip-link:not(:focus) { clip-path: inset(50%); }
</style><a class="skip-link" href="#views" target="_self">Skip to the views</a>"""
VIEWS: dict[str, tuple[str, Callable[[InspectContext], None]]] = {
    "maps": ("All maps", feature_maps.feature_maps_view),
    "network": ("Network", network.network_view),
    "blocks": ("Blocks", blocks.blocks_view),
    "map": ("One map", feature_map.feature_map_view),
    "kernels": ("Kernels", kernels.kernels_view),
    "top": ("Top images", top_images.top_images_view),
    "probes": ("Layer probes", probes.probes_view),
    "field": ("Receptive field", receptive_fields.receptive_fields_view),
    "why": ("Why this class", attribution.attribution_view),
    "off": ("Switch off", filter_ablation.filter_ablation_view),
    "versus": ("Two runs", compare_runs.compare_runs_view),
    "xray": ("Regularizer", regularizer.regularizer_view),
    "whatif": ("What if", perturbation.perturbation_view),
}
NEED_TRAINING = ("probes", "versus", "xray")  # views that a network from elsewhere does not have


def page() -> None:
    """Draw the page: the controls, the image and its prediction, and the selected view."""
    limit_malloc_cache()
    st.title("What does the network see in this image?", anchor=False)
    runs = cache.inspectable_runs()
    if not runs:
        st.info("No network has been trained here yet: train one on the page Train, then look inside it here.")
        return
    skip_link()
    query_state.drop_unknown_params({*selection.SELECTION_PARAMS, *url_params_of("cnnlab.inspect")})
    context = selected_context(runs)
    if context is None:
        return
    image_controls.run_and_image_controls(context, runs)
    left, right = st.columns([1, 3.7], gap="small")
    with left:
        image_and_prediction(context)
        with st.container(gap="xsmall"):
            epoch_slider.epoch_controls(context)
            imported_network.imported_network_facts(context)
    with right:
        open_view(context.run, context.epoch, context.selected_image)


def skip_link() -> None:
    """A link that is shown while it has the focus: from it the next Tab stop is the choice of a view."""
    with st.container(key="skip_to_views"):
        st.html(SKIP_LINK)


def selected_context(runs: list[Run]) -> InspectContext | None:
    """The run, epoch and image that the address names, as far as they exist; the address then says what is shown."""
    wanted = selection.current_selection()
    default = next((run for run in runs if run.name == DEFAULT_RUN), runs[0])
    run = selected_network.open_network(wanted.run, default)
    if run is None:
        selected_network.unavailable_network("is not trained yet.", runs, selected_network.select_run)
        return None
    fitted, problems, epoch = usable_epoch(wanted, run)
    if isinstance(run, Run):
        damaged_runs.damage_notice(run)
    if epoch is None:
        if isinstance(run, Run) and not run.damages():
            finished = run.record.state == "done"
            reason = "came without its weights." if finished else "has no weights yet: its first epoch has not ended."
            selected_network.unavailable_network(reason, runs, selected_network.select_run)
        return None
    image_set = load_image_set(run.dataset)
    found = select_image(upload.displayed_image_name(wanted.image), image_set)
    if network_classes(run) != image_set.classes:  # the true class of the image is none of the network's
        found = replace(found, true_class=None)
    missing = missing_images(run) if image_set.dataset != run.dataset else ""
    selection.show_problems([*problems, *filter(None, (missing, found.problem))])
    reference = wanted.image if found.index is None else image_set.image_name(found.index)
    selection.store_selection(resolved_selection(wanted, fitted, run, reference))
    return InspectContext(run=run, epoch=epoch, selected_image=found)


def usable_epoch(wanted: Selection, run: StoredNetwork) -> tuple[Selection, list[str], int | None]:
    """The selection as far as it exists, what does not, and an epoch whose weights can be read (None: there is none).

    Weights that cannot be read when they are opened are no longer among `run.snapshot_epochs`.
    """
    while kept := run.snapshot_epochs():
        fitted, problems = selection.fit_selection(wanted, run.layers, kept)
        epoch = fitted.epoch if fitted.epoch is not None else kept[-1]
        try:
            cache.weights(run, epoch)
        except DamagedRun:
            continue
        return fitted, problems, epoch
    return wanted, [], None


def resolved_selection(wanted: Selection, fitted: Selection, run: StoredNetwork, image: str) -> Selection:
    """What goes into the address: the run and the image always, the rest where somebody chose it and it exists."""
    epoch = fitted.epoch if wanted.epoch is not None else None
    layer = fitted.layer if wanted.layer else ""
    return replace(wanted, run=run.name, image=image, epoch=epoch, layer=layer, map=fitted.map)


def image_and_prediction(context: InspectContext) -> None:
    """The image and its prediction: side by side on a phone, one below the other in a column."""
    truth = context.selected_image.true_class
    known = (
        f"{context.selected_image.title}: {context.classes[truth]}"
        if truth is not None
        else context.selected_image.title
    )
    grid = st.grid(2, min_column_width=150, gap="small")
    with grid.cell(), st.container(gap="xsmall"):
        st.image(upscaled_png(context.image, 7), alt=f"32x32 pixels, {known}", width="stretch")
        st.caption(known, text_alignment="center")
        image_controls.neighbor_buttons(context)
    with grid.cell():
        st.markdown(inspection.describe_prediction(context.probabilities, context.classes, truth))
        prediction.probability_bars(context.probabilities, context.classes, truth, key="image bars")
    if truth is None:
        st.caption(
            f"The network knows only {len(context.classes)} classes ({', '.join(context.classes)}). "
            "It always predicts one of them."
        )


@st.fragment
def open_view(run: StoredNetwork, epoch: int, image: SelectedImage) -> None:
    """The view that is open. What is clicked inside it draws only this part anew.

    A session keeps the arguments of a fragment for as long as it lives: it gets no `InspectContext`, whose maps are 600
    kB.
    """
    if st.session_state.pop(top_activations.SESSION_IMAGE_SELECTED, False):
        st.rerun()  # another image was chosen in here: the whole page is about it
    titles = {name: title for name, (title, _) in VIEWS.items() if isinstance(run, Run) or name not in NEED_TRAINING}
    with st.container(key="views_start"):
        st.html(VIEW_STYLE)
    view = query_state.segmented_param(VIEW_PARAM, "Look at", titles, wrap=True, label_visibility="collapsed")
    try:
        VIEWS[view][1](InspectContext(run=run, epoch=epoch, selected_image=image))
    except UnknownRun as problem:  # weights of another epoch or run that the view needs
        st.warning(escape_markdown(str(problem)), icon=damaged_runs.ICON)
