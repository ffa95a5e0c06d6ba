"""Two runs, one image, side by side: the same scale for both, and the same epoch as far as both kept it."""

import numpy as np
import streamlit as st

from cnnlab import lens
from cnnlab.lens import telling
from cnnlab.pages import address, cached, selection
from cnnlab.pages.inside import answer, chooser, epochs, maps, tiles
from cnnlab.pages.inside.scene import Scene
from cnnlab.runs import Run
from cnnlab.walls import compose, limits

VERSUS = "inside versus"
FIRST = "conv1/kernel"  # of the layer that sees the picture itself


def view(scene: Scene) -> None:
    """The second run, both answers, and both walls of every layer they share."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        other = choose(scene)
        if other is None:
            return
        scale = address.choice("scale", "Colours", maps.SCALES)
    for cell, one, key in zip(maps.cells(2), (scene, other), ("one", "two"), strict=True):
        with cell:
            st.markdown(f"**{one.run.title}**, epoch {one.epoch}")
            st.markdown(answer.sentence(one.probabilities, one.classes, one.subject.truth))
            answer.bars(one.probabilities, one.classes, one.subject.truth, key=f"inside run {key}")
    for conv in [conv for conv in scene.convolutions if conv in other.convolutions]:
        pair(scene, other, conv, scale)
    st.caption(
        f"{filters(scene, other)} Compare the walls as a whole too, on one scale for each layer: how many maps are "
        "silent, how strong, how fine."
    )


def filters(scene: Scene, other: Scene) -> str:
    """Whether equal numbers of filters mean anything in these two runs."""
    one, two = (each.weights[FIRST] for each in (scene, other))
    together = one.shape == two.shape and began_together(scene.run, other.run)
    return telling.paired(together, lens.kept_numbers(one, two) if together else 0, one.shape[-1])


def began_together(run: Run, other: Run) -> bool:
    """Whether the first layers of both began with the same numbers; where those were not kept, the seeds decide."""
    if run.snapshots()[0] or other.snapshots()[0]:
        return run.experiment.seed == other.experiment.seed
    one, two = (cached.weights(each, 0)[FIRST] for each in (run, other))
    return lens.same_start(one, two)


def choose(scene: Scene) -> Scene | None:
    """The second run, of the same data; None, and a sentence, where there is no other."""
    same = scene.run.experiment.dataset
    others = [run for run in cached.finished_runs() if run.experiment.dataset == same and run.name != scene.run.name]
    if not others:
        st.info("There is no second run on the same data yet: train one on the page Train.")
        return None
    names = {run.name: run for run in others}
    wanted, _ = selection.parse(dict(st.query_params))
    run = names.get(wanted.versus) or usual(scene.run, others)
    st.session_state[VERSUS] = run.name
    st.selectbox(
        "Beside",
        list(names),
        format_func=lambda name: chooser.title(names[name]),
        key=VERSUS,
        on_change=_chosen,
        width=560,
    )
    return scene.of(run, nearest(scene.epoch, scene.run, run))


def usual(run: Run, others: list[Run]) -> Run:
    """The run that differs in the regularizer only, where there is one."""
    alike = [other for other in others if other.experiment.depth == run.experiment.depth]
    plain = [other for other in alike if other.experiment.regularizer == "none"]
    return (plain or alike or others)[0]


def nearest(epoch: int, run: Run, other: Run) -> int:
    """The other run's epoch: its last for the last, otherwise the latest it kept up to this one."""
    kept = other.snapshots()
    if epoch == run.snapshots()[-1]:
        return kept[-1]
    return max((one for one in kept if one <= epoch), default=kept[0])


def pair(scene: Scene, other: Scene, conv: str, scale: str) -> None:
    """One layer of both runs on one scale."""
    end = common_end(scene, other, conv) if scale == "layer" else None
    for cell, one, key in zip(maps.cells(2), (scene, other), ("one", "two"), strict=True):
        with cell:
            stage = one.activation(conv)
            values = one.stages[stage][0]
            limit = epochs.limit(one, stage, scale) if end is None else end
            wall = compose(values, scale, limit=limit)
            st.markdown(maps.heading(conv, wall))
            words = f"{one.run.title}: {maps.words(conv, wall)}"
            tiles.draw(tiles.of_wall(wall), f"wall {conv} of {key}", words)


def common_end(scene: Scene, other: Scene, conv: str) -> float:
    """Where the scale of both walls ends: the strongest number of both runs, of all epochs where that is wanted."""
    ends = []
    for one in (scene, other):
        stage = one.activation(conv)
        held = epochs.limit(one, stage, "layer")
        ends.append(limits([one.stages[stage][0]]) if held is None else held)
    return float(np.max([end.max() for end in ends]))


def _chosen() -> None:
    selection.choose(versus=st.session_state[VERSUS])
