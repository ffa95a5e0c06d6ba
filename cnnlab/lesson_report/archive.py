"""The zip file of a report: report.html, report.ipynb, results, histories, figures, models, Keras programs.

report.html            opens in a browser without internet
report.ipynb           runs in the unpacked folder
results.csv            the chosen runs with seeds and intervals
histories/RUN.csv      a row an epoch
figures/NAME.png, .svg
models/RUN.keras
scripts/RUN.py         trains the experiment again; draw_shapes.py draws the images of Shapes, and an .npz file holds
                       those of one's own pictures, up to MAX_DATA_BYTES

The server holds the file until the browser has it, for each of a class.
"""

import io
import zipfile

import numpy as np

from cnnlab.data import is_dataset_available, load_dataset
from cnnlab.lesson_report import drawing_program
from cnnlab.lesson_report.content import LessonReport
from cnnlab.lesson_report.html_page import report_html
from cnnlab.lesson_report.keras_script import keras_script
from cnnlab.lesson_report.notebook import notebook_json
from cnnlab.lesson_report.run_table import history_csv, results_csv

MAX_MODEL_BYTES, MAX_DATA_BYTES = 50_000_000, 10_000_000


def report_zip(report: LessonReport) -> bytes:
    """The bytes of the zip file of a report. Raises DamagedRun, OSError."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.html", report_html(report))
        archive.writestr("report.ipynb", notebook_json(report))
        archive.writestr("results.csv", results_csv(report.runs))
        write_figures(archive, report)
        for run in report.runs:
            archive.writestr(f"histories/{run.name}.csv", history_csv(run))
            if run.experiment.augment == "none":  # the program has no augmentation
                archive.writestr(f"scripts/{run.name}.py", keras_script(run.experiment, f"{run.name}.py"))
            model = run.path / "model.keras"
            if model.is_file() and model.stat().st_size <= MAX_MODEL_BYTES:
                archive.write(model, f"models/{run.name}.keras")
        for name in {run.dataset: None for run in report.runs if run.dataset != "cifar10"}:
            write_images(archive, name)
    return output.getvalue()


def write_images(archive: zipfile.ZipFile, name: str) -> None:
    """What the Keras programs read the images of this data set from; a sentence where they take too much."""
    if name == "shapes":
        archive.writestr(f"scripts/{drawing_program.FILE}", drawing_program.drawing_program())
    elif is_dataset_available(name):
        dataset = load_dataset(name)
        size = dataset.x_train.nbytes + dataset.x_test.nbytes
        if size <= MAX_DATA_BYTES:
            archive.writestr(f"scripts/{name}.npz", dataset_npz(name))
        else:
            most = f"{size / 1e6:.0f} MB, and {MAX_DATA_BYTES / 1e6:.0f} MB may be in this file."
            archive.writestr(f"scripts/{name}.txt", f"The pictures of {name} take {most}\n")


def write_figures(archive: zipfile.ZipFile, report: LessonReport) -> None:
    """Every figure as PNG and SVG; each name once."""
    figures = {figure.name: figure for entry in report.entries for figure in entry.figures}
    figures |= {figure.name: figure for figure in report.run_figures}
    for name, figure in figures.items():
        archive.writestr(f"figures/{name}.png", figure.png)
        archive.writestr(f"figures/{name}.svg", figure.svg)


def dataset_npz(name: str) -> bytes:
    """The images of a data set as the Keras program reads them."""
    dataset, output = load_dataset(name), io.BytesIO()
    arrays = {name: np.asarray(getattr(dataset, name)) for name in ("x_train", "y_train", "x_test", "y_test")}
    np.savez_compressed(output, allow_pickle=False, **arrays)
    return output.getvalue()
