"""The import of a folder of classes as a data set of one's own: read within limits, checked, split, kept.

    FOLDER/maple/1.jpg, FOLDER/maple/2.jpg, ..., FOLDER/oak/1.jpg, ...

Everything about the folder may be wrong: `picture_folder` checks the names and counts, a process with limits decodes
the pictures (`photo_batches`), and nothing is kept before all of it is right. The pictures are cut to a square and
reduced to 32x32 by the function that prepares an uploaded photo. The split is drawn with a fixed seed, class by class.
"""

import datetime
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnlab import settings
from cnnlab.array_types import PixelArray
from cnnlab.data import array_store, own_pictures, photo_preprocessing
from cnnlab.data.photo_batches import decode_photos
from cnnlab.data.picture_folder import (
    MIN_PICTURES,
    Classes,
    PictureFile,
    PictureImportError,
    UnreadablePictures,
    check_title,
    list_classes,
    name_some,
)
from cnnlab.datasets import DatasetInfo
from cnnlab.formatting import quoted
from cnnlab.photo_decoding.decoder import PhotoError

SPLIT_SEED = 2026
HELD_OUT_SHARE = 0.15  # of each class for the validation set, and as much for the test set
BATCH_PICTURES, BATCH_BYTES = 32, 20_000_000  # decoded by one process, at most

ProgressCallback = Callable[[str, float], None]


@dataclass(frozen=True)
class ImportedPictures:
    """What an import has made: the data set, how many pictures were left out as duplicates and as unreadable."""

    info: DatasetInfo
    duplicates: int
    unreadable: int


def import_pictures(
    folder: Path,
    title: str,
    *,
    skip_unreadable: bool = False,
    progress: ProgressCallback = lambda step, share: None,
    poll: Callable[[], None] = lambda: None,
) -> ImportedPictures:
    """`import_classes` of the classes in a folder."""
    check_title(title)
    return import_classes(
        list_classes(folder), title, folder.name, skip_unreadable=skip_unreadable, progress=progress, poll=poll
    )


def import_classes(
    classes: Classes,
    title: str,
    source: str,
    owner: str = "",
    *,
    skip_unreadable: bool = False,
    progress: ProgressCallback = lambda step, share: None,
    poll: Callable[[], None] = lambda: None,
) -> ImportedPictures:
    """Keep these pictures as a data set of this title, or leave everything as it is.

    `source` is where they come from, `owner` the person who brings them, "" for the command line. Equal pictures within
    a class are kept once. With `skip_unreadable`, files that are no picture are left out instead of refused. `progress`
    is called with the step and the share done, 0..1; `poll` often: what it raises ends the import. Raises
    PictureImportError, one sentence.
    """
    check_title(title)
    if same := [info for info in own_pictures.list_datasets() if info.title.lower() == title.lower()]:
        raise PictureImportError(
            f"There is a data set called {same[0].title} already: remove it, or take another name."
        )
    pictures, problems = _read_classes(classes, progress, poll)
    if problems and not skip_unreadable:
        raise UnreadablePictures(
            f"{len(problems)} of {sum(map(len, classes.values())):,} files cannot be used: {name_some(problems)}."
        )
    read = sum(len(images) for images in pictures.values())
    unique = {name: _without_duplicates(images) for name, images in pictures.items()}
    _check_pictures(unique)
    info = _store({"source": source, "owner": owner}, title, unique)
    progress("Ready", 1.0)
    return ImportedPictures(info, read - sum(map(len, unique.values())), len(problems))


def _read_classes(
    classes: Classes, progress: ProgressCallback, poll: Callable[[], None]
) -> tuple[dict[str, list[PixelArray]], list[str]]:
    """The pictures of each class, uint8 (32, 32, 3), and a text for each file that is none: 'oak/a.jpg: why'."""
    pictures: dict[str, list[PixelArray]] = {name: [] for name in classes}
    problems: list[str] = []
    total, done = sum(map(len, classes.values())), 0
    for name, batch in ((name, batch) for name, files in classes.items() for batch in _batches(files)):
        progress(f"Reading {name}", done / total)
        for file, photo in zip(batch, decode_photos([file.read() for file in batch], poll), strict=True):
            if isinstance(photo, PhotoError):
                problems.append(f"{quoted(file.label)} ({str(photo).rstrip('.')})")
            else:
                pictures[name].append(photo_preprocessing.crop_photo(photo).pixels)
        done += len(batch)
    return pictures, problems


def _batches(files: Sequence[PictureFile]) -> Iterator[list[PictureFile]]:
    """The files in groups of at most BATCH_PICTURES and, beyond the first of a group, BATCH_BYTES."""
    batch: list[PictureFile] = []
    size = 0
    for file in files:
        if batch and (len(batch) == BATCH_PICTURES or size + file.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch


def _without_duplicates(images: Sequence[PixelArray]) -> list[PixelArray]:
    return list({_digest(image): image for image in reversed(images)}.values())[::-1]


def _digest(image: PixelArray) -> bytes:
    """What tells a picture from others: an import holds thousands of them in the web process, and no copies."""
    return hashlib.sha256(image.tobytes()).digest()


def _check_pictures(pictures: Mapping[str, Sequence[PixelArray]]) -> None:
    """Raise PictureImportError where a class has too few different pictures, or a picture has two classes."""
    if few := [f"{name} has {len(images)}" for name, images in pictures.items() if len(images) < MIN_PICTURES]:
        raise PictureImportError(
            f"Each class needs at least {MIN_PICTURES} different pictures of 32x32 pixels: {name_some(few)}."
        )
    seen: dict[bytes, str] = {}
    for name, images in pictures.items():
        for image in images:
            other = seen.setdefault(_digest(image), name)
            if other != name:
                raise PictureImportError(
                    f"The same picture is in the classes {other} and {name}: a picture has one class."
                )


def _store(origin: Mapping[str, str], title: str, pictures: Mapping[str, Sequence[PixelArray]]) -> DatasetInfo:
    arrays, counts = split_pictures(pictures)
    digest = hashlib.sha256("\n".join((array_store.fingerprint(arrays), *pictures)).encode()).hexdigest()[:12]
    name = f"own-{digest}-{title}"
    manifest = {
        **origin,
        "prepared": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "classes": list(pictures),
        "image_counts": counts,
    }
    try:
        array_store.write(settings.data_dir() / name, arrays, manifest)
    except array_store.ArrayStoreError as error:
        raise PictureImportError(str(error)) from error
    return own_pictures.read_info(name)


def split_pictures(pictures: Mapping[str, Sequence[PixelArray]]) -> tuple[array_store.Arrays, str]:
    """The arrays of a data set and its numbers of training, validation and test images, as "420/90/90".

    Of each class HELD_OUT_SHARE are for validation and as many for the test, drawn with SPLIT_SEED, then each set is
    shuffled. The training array holds the training images, then the validation images.
    """
    sets: tuple[list[tuple[PixelArray, int]], ...] = ([], [], [])
    for label, images in enumerate(pictures.values()):
        order = np.random.default_rng([SPLIT_SEED, label]).permutation(len(images))
        held_out = round(HELD_OUT_SHARE * len(images))
        for number, part in enumerate((order[2 * held_out :], order[:held_out], order[held_out : 2 * held_out])):
            sets[number].extend((images[index], label) for index in part)
    train, validation, test = map(_shuffled, sets)
    parts = {"train": [*train, *validation], "test": test}
    arrays = {f"x_{name}": np.stack([image for image, _ in part]) for name, part in parts.items()}
    arrays |= {f"y_{name}": np.array([label for _, label in part], np.uint8) for name, part in parts.items()}
    return arrays, "/".join(str(len(pairs)) for pairs in sets)


def _shuffled(images: Sequence[tuple[PixelArray, int]]) -> list[tuple[PixelArray, int]]:
    order = np.random.default_rng([SPLIT_SEED, len(images)]).permutation(len(images))
    return [images[index] for index in order]
