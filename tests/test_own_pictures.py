"""A folder of one's own pictures becomes a data set: what is checked, what is kept, what the experiment knows of it."""

import dataclasses
import io
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

import cnnlab.data
from cnnlab import cli, settings
from cnnlab.data import (
    DatasetMissing,
    dataset_fields,
    own_pictures,
    photo_batches,
    photo_preprocessing,
    picture_archive,
    picture_folder,
    picture_import,
)
from cnnlab.data.picture_folder import PictureImportError
from cnnlab.data.picture_import import import_pictures
from cnnlab.experiment import Experiment, ExperimentError
from cnnlab.jobs import picture_uploads
from cnnlab.models.architecture import network_layers
from cnnlab.report_models import REPORT

CLASSES = ("birch tree", "maple", "oak")
COUNT = 24  # pictures of a class
EXTENSIONS = ("png", "jpg", "webp")


def write_pictures(folder, classes=CLASSES, count=COUNT, seed=0):
    """Noise of one color a class, in three formats."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 90, (40, 48, 3)).astype(np.uint8)
            pixels[..., label % 3] += 30 * (1 + label // 3)
            Image.fromarray(pixels).save(folder / name / f"{number:03}.{EXTENSIONS[number % 3]}")
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def few(monkeypatch):
    """Two pictures a class are enough, so that bad folders are written quickly."""
    monkeypatch.setattr(picture_folder, "MIN_PICTURES", 2)
    monkeypatch.setattr(picture_import, "MIN_PICTURES", 2)


def kept():
    return sorted(one.name for one in settings.data_dir().glob("*") if not one.name.endswith(".lock"))


def refusal(folder, title="leaves", **options):
    """The sentence of a refused import, after which nothing is kept."""
    with pytest.raises(PictureImportError) as caught:
        import_pictures(folder, title, **options)
    assert kept() == []
    return str(caught.value)


@pytest.mark.slow
def test_a_folder_becomes_a_data_set_with_every_picture_in_one_of_three_sets(pictures):
    steps = []
    made = import_pictures(pictures, "leaves", progress=lambda step, share: steps.append((share, step)))
    assert (made.info.classes, made.duplicates, made.unreadable) == (CLASSES, 0, 0)
    dataset = cnnlab.data.load_dataset(made.info.name)
    held_out = round(0.15 * COUNT)
    assert made.info.train_images == 3 * (COUNT - 2 * held_out)
    assert np.bincount(dataset.y_test).tolist() == [held_out] * 3
    assert np.bincount(dataset.y_train[made.info.train_images :]).tolist() == [held_out] * 3
    found = {image.tobytes(): label for image, label in zip(dataset.x_train, dataset.y_train, strict=True)}
    found |= {image.tobytes(): label for image, label in zip(dataset.x_test, dataset.y_test, strict=True)}
    expected = {
        photo_preprocessing.prepare_photo(path.read_bytes()).pixels.tobytes(): CLASSES.index(path.parent.name)
        for path in [*pictures.glob("*/000.*"), *pictures.glob("*/001.*"), *pictures.glob("*/002.*")]
    }
    assert len(found) == 3 * COUNT and expected.items() <= found.items()
    assert [share for share, _ in steps] == sorted(share for share, _ in steps) and steps[-1] == (1.0, "Ready")
    assert len(set(dataset.y_train[: COUNT // 2].tolist())) == 3  # shuffled


@pytest.mark.slow
def test_the_same_folder_gives_the_same_name_and_other_pictures_another(pictures, tmp_path):
    first = import_pictures(pictures, "leaves").info
    own_pictures.remove(first.name)
    assert import_pictures(pictures, "leaves").info == first
    other = import_pictures(write_pictures(tmp_path / "other", seed=1), "others").info
    assert other.name.split("-")[1] != first.name.split("-")[1]
    assert [info.title for info in own_pictures.list_datasets()] == ["leaves", "others"]


@pytest.mark.slow
def test_a_title_is_taken_once_and_has_letters_digits_and_hyphens(pictures):
    for title in ("", "../x", "a b", "*x*", "-x", "Shapes", "cifar10", "x" * 25, "ä", "own\n"):
        assert "Name the data set" in refusal(pictures, title)
    import_pictures(pictures, "leaves")
    with pytest.raises(PictureImportError, match="called leaves already"):
        import_pictures(pictures, "LEAVES")


def test_the_number_of_classes_and_of_pictures_is_checked_before_any_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_import, "decode_photos", lambda *_: pytest.fail("a picture was read"))
    assert "Received: 1" in refusal(write_pictures(tmp_path / "one", ["oak"], 1))
    assert "Received: 11" in refusal(write_pictures(tmp_path / "eleven", [f"class {n}" for n in range(11)], 1))
    few = write_pictures(write_pictures(tmp_path / "few", ["maple"], 3), ["oak"], 2)
    assert "at least 20 pictures: maple has 3; oak has 2" in refusal(few)
    assert "cannot be opened" in refusal(tmp_path / "none")
    monkeypatch.setattr(picture_folder, "MAX_PICTURES", 4)
    assert "at most 4 pictures. Received: 6" in refusal(write_pictures(tmp_path / "many", ["a", "b"], 3))


HOSTILE_NAMES = ("<b>x", "a*b*", "[x](y)", "a,b", "-x", "$(x)", "x" * 31, "`x`", "\u202eabc", "a\\b")


@pytest.mark.posix
@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
def test_a_class_name_that_means_something_elsewhere_is_refused(tmp_path, few, name):
    write_pictures(tmp_path / "f", ["oak", name], 2)
    told = refusal(tmp_path / "f")
    assert "letters, digits, spaces and hyphens" in told and "\n" not in told and "\u202e" not in told


@pytest.mark.slow
def test_underscores_are_spaces_and_equal_names_are_refused(tmp_path, few):
    write_pictures(tmp_path / "f", ["oak_tree", "maple"], 4)
    assert import_pictures(tmp_path / "f", "trees").info.classes == ("maple", "oak tree")
    own_pictures.remove(own_pictures.list_datasets()[0].name)
    write_pictures(tmp_path / "g", ["oak_tree", "oak tree"], 4)
    assert "same class name" in refusal(tmp_path / "g")


@pytest.mark.posix
def test_folders_and_links_in_a_class_are_refused_and_system_files_ignored(tmp_path, few):
    folder = write_pictures(tmp_path / "f", ["oak", "maple"], 4)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "readme.txt").write_text("x")
    (folder / "oak" / "Thumbs.db").write_bytes(b"x")
    (folder / "oak" / ".hidden").write_bytes(b"x")
    import_pictures(folder, "fine")
    own_pictures.remove(own_pictures.list_datasets()[0].name)
    (folder / "oak" / "link.png").symlink_to("/etc/passwd")
    assert "oak/link.png" in refusal(folder)
    (folder / "oak" / "link.png").unlink()
    (folder / "oak" / "inner").mkdir()
    assert "oak/inner" in refusal(folder)


def bomb():
    """A PNG of 30,000 x 30,000 pixels in a few hundred bytes."""
    plain = io.BytesIO()
    Image.new("RGB", (1, 1)).save(plain, "PNG")
    header = b"IHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    return plain.getvalue()[:12] + header + zlib.crc32(header).to_bytes(4, "big") + plain.getvalue()[33:]


@pytest.mark.slow
def test_files_that_are_no_picture_are_named_and_can_be_left_out(tmp_path, few, capsys):
    folder = write_pictures(tmp_path / "f", ["oak", "maple"], 4)
    (folder / "oak" / "notes.txt").write_text("hello")
    (folder / "oak" / "empty.png").write_bytes(b"")
    (folder / "maple" / "bomb.png").write_bytes(bomb())
    (folder / "maple" / "half.jpg").write_bytes((folder / "maple" / "001.jpg").read_bytes()[:300])
    told = refusal(folder)
    assert "4 of 12 files cannot be used" in told and "maple/bomb.png" in told and "900 million" in told
    assert "and 1 more" in told
    assert cli.main(["data", "import", str(folder), "--name", "leaves"]) == 2
    assert capsys.readouterr().err.endswith("Leave them out with --skip-unreadable.\n")
    made = import_pictures(folder, "leaves", skip_unreadable=True)
    assert made.unreadable == 4 and made.info.train_images + made.info.validation_images + made.info.test_images == 8


@pytest.mark.slow
def test_equal_pictures_are_kept_once_and_refused_in_two_classes(tmp_path, few):
    folder = write_pictures(tmp_path / "f", ["oak", "maple"], 4)
    picture = (folder / "oak" / "000.png").read_bytes()
    (folder / "oak" / "again.png").write_bytes(picture)
    made = import_pictures(folder, "leaves")
    assert made.duplicates == 1
    own_pictures.remove(made.info.name)
    (folder / "maple" / "same.png").write_bytes(picture)
    assert "same picture is in the classes maple and oak" in refusal(folder)
    for path in (folder / "maple").iterdir():
        path.write_bytes((folder / "maple" / "000.png").read_bytes())
    assert "different pictures of 32x32 pixels: maple has 1" in refusal(folder)


@pytest.mark.slow
def test_an_import_that_is_stopped_or_cannot_write_changes_nothing(pictures, monkeypatch):
    before = import_pictures(pictures, "before").info

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_pictures(pictures, "leaves", poll=stop)
    monkeypatch.setattr(
        picture_import.array_store.files, "write_npy", lambda *_: (_ for _ in ()).throw(OSError(28, "x"))
    )
    with pytest.raises(PictureImportError, match="disk is full"):
        import_pictures(pictures, "leaves")
    assert kept() == [before.name] and own_pictures.list_datasets() == [before]


@pytest.mark.slow
def test_a_batch_that_exceeds_the_limits_is_decoded_one_by_one(pictures, monkeypatch):
    contents = [path.read_bytes() for path in sorted(pictures.glob("oak/00*"))[:3]] + [b"", b"text"]
    together = photo_batches.decode_photos(contents)
    run = photo_preprocessing.run_decoder

    def fails(data, poll, module=photo_batches.photo_preprocessing.decoding_process.__name__, pictures=1):
        if pictures > 1:
            raise photo_preprocessing.PhotoError(photo_preprocessing.TOO_SLOW)
        return run(data, poll, module, pictures)

    monkeypatch.setattr(photo_preprocessing, "run_decoder", fails)
    for one, other in zip(together, photo_batches.decode_photos(contents), strict=True):
        assert str(one) == str(other) if isinstance(one, Exception) else one.image.tobytes() == other.image.tobytes()
    assert [isinstance(one, Exception) for one in together] == [False] * 3 + [True] * 2


def test_existing_experiments_keep_their_keys():
    assert REPORT["3conv-dropout"].experiment.key == "91e9a477a1135515"
    assert Experiment(dataset="shapes").key == "c94d955d4ef10819"
    assert "class_names" not in Experiment().to_json() and "image_counts" not in Experiment().to_json()


def test_an_experiment_on_own_pictures_knows_classes_and_counts_without_them(pictures):
    info = import_pictures(pictures, "leaves").info
    fields = dataset_fields("Leaves")
    experiment = Experiment(**fields, depth=3, regularizer="dropout")
    own_pictures.remove(info.name)
    again = Experiment.from_json(experiment.to_json())
    assert again == experiment and again.key == experiment.key and again.dataset_info == info
    assert experiment.title == "3-conv, dropout 0.1, leaves" and experiment.validation_images == info.validation_images
    assert network_layers(experiment)[-1].output_shape == (3,) and experiment.train_images == info.train_images
    assert dataclasses.replace(experiment, split="test", train_images=None).train_images == len(CLASSES) * (COUNT - 4)
    with pytest.raises(DatasetMissing, match="choose from cifar10, shapes"):
        dataset_fields("leaves")


BAD_FIELDS = (
    {"dataset": "own-0123456789ab-x"},
    {"class_names": "cat,dog"},
    {"dataset": "own-0123456789ab-x", "class_names": "cat", "image_counts": "9/9/9"},
    {"dataset": "own-0123456789ab-x", "class_names": "cat,cat", "image_counts": "9/9/9"},
    {"dataset": "own-0123456789ab-x", "class_names": "cat,<b>", "image_counts": "9/9/9"},
    {"dataset": "own-0123456789ab-x", "class_names": "cat,dog", "image_counts": "0/9/9"},
    {"dataset": "own-0123456789ab-x", "class_names": "cat,dog", "image_counts": "59000/900/900"},
    {"dataset": "own-0123456789ab-x", "class_names": 3, "image_counts": "9/9/9"},
    {"dataset": "own-0123456789ab-../x", "class_names": "cat,dog", "image_counts": "9/9/9"},
    {"dataset": 7},
)


@pytest.mark.parametrize("fields", BAD_FIELDS, ids=range(len(BAD_FIELDS)))
def test_an_experiment_with_half_a_data_set_is_refused(fields):
    with pytest.raises(ExperimentError):
        Experiment(**fields)


@pytest.mark.slow
def test_the_command_line_imports_lists_and_removes_after_a_question(pictures, capsys, monkeypatch):
    assert cli.main(["data", "import", str(pictures), "--name", "leaves"]) == 0
    assert "leaves  3 classes (birch tree, maple, oak)" in capsys.readouterr().out
    assert cli.main(["data", "import", str(pictures), "--name", "no name"]) == 2
    assert "Name the data set" in capsys.readouterr().err
    assert cli.main(["data", "list"]) == 0 and "leaves" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert cli.main(["data", "remove", "leaves"]) == 130 and len(own_pictures.list_datasets()) == 1
    assert cli.main(["data", "remove", "leaves", "--yes"]) == 0 and own_pictures.list_datasets() == []
    assert cli.main(["data", "remove", "leaves", "--yes"]) == 2 and "no such data set" in capsys.readouterr().err


def zipped(folder, prefix="", extra=()):
    """The files of a folder as a ZIP archive, each name after `prefix`, and `extra` ones (name, content)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.glob("*/*")):
            archive.write(path, f"{prefix}{path.relative_to(folder).as_posix()}")
        for name, content in extra:
            archive.writestr(name, content)
    return packed.getvalue()


def upload(content, title="leaves", person="ada"):
    return picture_uploads.import_archive(content, title, person, lambda step, share: None)


@pytest.mark.slow
def test_a_zip_archive_gives_the_data_set_of_its_folder_whatever_system_packed_it(pictures):
    expected = import_pictures(pictures, "leaves").info
    for content in (
        zipped(pictures),
        zipped(pictures, "my pictures/", [("__MACOSX/my pictures/oak/._1.jpg", b"x"), ("my pictures/.DS_Store", b"x")]),
        zipped(pictures, "", [("readme.txt", b"x"), ("oak/Thumbs.db", b"x"), ("../../x/1.png", b"x")]),
    ):
        own_pictures.remove(expected.name)
        assert upload(content).info == expected


BAD_ARCHIVES = {
    "no archive": (b"no archive", "no whole zip archive"),
    "nothing": (b"", "no whole zip archive"),
    "too large": (bytes(25_000_001), "at most 25 MB"),
    "a bomb": ("bomb", "expected at most 100,000"),
    "no folders": ("flat", "Pack one folder"),
    "too deep": ("a/b/c/", "Pack one folder"),
}


@pytest.mark.parametrize(("content", "sentence"), BAD_ARCHIVES.values(), ids=BAD_ARCHIVES)
def test_a_bad_archive_is_refused_and_nothing_is_kept(tmp_path, few, monkeypatch, content, sentence):
    monkeypatch.setattr(picture_archive, "MAX_EXPANDED_BYTES", 100_000)
    folder = write_pictures(tmp_path / "f", ["oak", "maple"], 4)
    if content == "bomb":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("oak/1.png", bytes(100_001))
        content = packed.getvalue()
    elif content == "flat":
        content = zipped(tmp_path / "none", "", [("1.png", b"x"), ("2.png", b"x")])
    elif isinstance(content, str):
        content = zipped(folder, content)
    with pytest.raises(PictureImportError, match=sentence) as caught:
        upload(content)
    assert str(caught.value).count("\n") == 0 and kept() == []


@pytest.mark.slow
def test_one_person_has_a_quota_and_sees_and_removes_only_their_own(tmp_path, pictures, monkeypatch):
    content = zipped(pictures)
    info = upload(content).info
    import_pictures(write_pictures(tmp_path / "other", seed=1), "shared")
    menus = {
        person: [one.title for one in picture_uploads.visible_datasets(person, False)] for person in ("ada", "bob")
    }
    assert menus == {"ada": ["leaves", "shared"], "bob": ["shared"]}
    assert len(picture_uploads.visible_datasets("bob", True)) == 2
    with pytest.raises(DatasetMissing, match="who brought these pictures in"):
        picture_uploads.remove_own(info.name, "bob")
    monkeypatch.setattr(picture_uploads, "MAX_OF_ONE_PERSON", 1)
    with pytest.raises(PictureImportError, match="You have 1 data set here"):
        upload(content, "more")
    monkeypatch.setattr(picture_uploads, "MAX_BYTES", 10)
    with pytest.raises(PictureImportError, match="all that they may"):
        upload(content, "more", "bob")
    picture_uploads.remove_own(info.name, "ada")
    assert [one.title for one in own_pictures.list_datasets()] == ["shared"]
