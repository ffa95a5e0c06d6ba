"""Uploads, good and bad, made by Pillow on the spot."""

import io
import re
import struct
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cnnlab.data import photo_preprocessing
from cnnlab.data.photo_preprocessing import PreparedPhoto, crop_photo, prepare_photo
from cnnlab.data.samples import SAMPLE_DIRECTORY, sample_images
from cnnlab.photo_decoding.conversion import MAX_COPY_SIDE
from cnnlab.photo_decoding.decoder import ORIENTATION, PhotoError, decode

RED, GREEN, BLUE, YELLOW = (220, 20, 20), (20, 200, 20), (20, 20, 220), (220, 220, 20)


def saved(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def prepared(data: bytes, **where: float) -> PreparedPhoto:
    """`prepare_photo`, decoded in this process: the limits of the other one have tests of their own."""
    return crop_photo(decode(data, 64), **where)  # type: ignore[arg-type]


def quarters(width: int = 400, height: int = 400) -> Image.Image:
    """Red, green over blue, yellow: every turn and mirroring looks different."""
    image = Image.new("RGB", (width, height), RED)
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 2, 0, width, height // 2 - 1), fill=GREEN)
    draw.rectangle((0, height // 2, width // 2 - 1, height), fill=BLUE)
    draw.rectangle((width // 2, height // 2, width, height), fill=YELLOW)
    return image


def corners(pixels: np.ndarray) -> list[str]:
    names = {"red": RED, "green": GREEN, "blue": BLUE, "yellow": YELLOW, "white": (255, 255, 255)}
    found = [pixels[4, 4], pixels[4, 27], pixels[27, 4], pixels[27, 27]]
    return [min(names, key=lambda name: np.abs(np.int32(names[name]) - pixel).sum()) for pixel in found]


UPRIGHT = ["red", "green", "blue", "yellow"]


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and then has hardly any data."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


# What training sees


@pytest.mark.parametrize("index", range(20))
def test_a_cifar_image_saved_as_png_passes_through_unchanged(index: int) -> None:
    images, _ = sample_images()
    shipped = sorted(SAMPLE_DIRECTORY.glob("*.png"))[index].read_bytes()
    for data in (shipped, saved(Image.fromarray(images[index])), saved(Image.fromarray(images[index]), "BMP")):
        for pad in (False, True):
            photo = prepared(data, pad=pad)
            assert np.array_equal(photo.pixels, images[index])
            assert photo.notes == ()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
@pytest.mark.slow
def test_every_format_becomes_32x32_colour_bytes(format: str, mode: str) -> None:
    if format == "JPEG" and mode == "P":
        mode = "CMYK"  # a JPEG has no palette
    photo = prepared(saved(quarters().convert(mode), format))
    assert photo.pixels.shape == (32, 32, 3)
    assert photo.pixels.dtype == np.uint8
    if mode == "RGB":
        assert corners(photo.pixels) == UPRIGHT


def test_fine_stripes_shrink_to_even_grey() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = prepared(saved(Image.fromarray(stripes))).pixels
    assert np.abs(pixels[2:-2, 2:-2].astype(int) - 128).max() <= 2


@pytest.mark.parametrize("size", [31, 33, 64, 100, 500, 1000])
@pytest.mark.parametrize("pad", [False, True])
def test_no_step_makes_an_edge_stronger_than_it_is(size: int, pad: bool) -> None:
    edge = np.full((size, size + size // 2, 3), 60, np.uint8)
    edge[:, edge.shape[1] // 2 + 1 :] = 200
    pixels = prepared(saved(Image.fromarray(edge)), pad=pad).pixels
    assert (pixels.min(), pixels.max()) == (60, 200)


def test_a_photo_is_shrunk_by_averaging_the_area_of_each_pixel() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (480, 480, 3), np.uint8)
    expected = noise.reshape(32, 15, 32, 15, 3).mean(axis=(1, 3))
    assert np.abs(prepared(saved(Image.fromarray(noise))).pixels - expected).max() <= 1.0  # rounded twice


# The steps


def test_every_step_is_kept_to_be_shown() -> None:
    photo = prepared(saved(quarters(600, 400)))
    assert [picture.size for _, picture in photo.steps] == [(600, 400), (600, 400), (400, 400), (32, 32)]
    assert [picture.mode for _, picture in photo.steps] == ["RGB"] * 4
    assert photo.steps[0][0] == "original, 600x400"
    assert photo.box == (100, 0, 500, 400)
    assert photo.with_crop_outline().getpixel((100, 50)) != photo.oriented.getpixel((100, 50))


def test_the_square_moves_across_and_down_and_zooms() -> None:
    data = saved(quarters(600, 200))
    assert prepared(data, horizontal=0.0).box == (0, 0, 200, 200)
    assert prepared(data, horizontal=1.0).box == (400, 0, 600, 200)
    assert corners(prepared(data, horizontal=0.0).pixels) == ["red", "red", "blue", "blue"]
    assert prepared(data, horizontal=1.0, vertical=1.0, zoom=2.0).box == (500, 100, 600, 200)
    assert corners(prepared(data, horizontal=1.0, vertical=0.0, zoom=2.0).pixels) == ["green"] * 4


@pytest.mark.parametrize("where", [{"horizontal": -0.1}, {"vertical": 1.1}, {"zoom": 0.5}, {"zoom": float("nan")}])
def test_a_square_outside_the_picture_is_refused(where: dict[str, float]) -> None:
    with pytest.raises(PhotoError, match=r"Choose (horizontal|vertical|zoom) between .* Received:"):
        prepared(saved(quarters()), **where)


def test_padding_keeps_the_whole_picture_between_bars_of_its_average_colour() -> None:
    photo = prepared(saved(Image.new("RGB", (100, 50), (10, 200, 90))), pad=True)
    assert photo.square.size == (100, 100)
    assert photo.box == (0, -25, 100, 75)
    assert (photo.pixels == (10, 200, 90)).all()
    assert "average color" in " ".join(photo.notes)
    assert corners(prepared(saved(quarters(100, 60)), pad=True).pixels[6:26].repeat(2, axis=0)) == UPRIGHT


def test_a_tiny_picture_is_enlarged_and_the_note_says_so() -> None:
    photo = prepared(saved(quarters(10, 8)))
    assert corners(photo.pixels) == UPRIGHT
    assert "only 8x8 pixels" in photo.notes[0]
    assert (prepared(saved(Image.new("RGB", (1, 1), RED))).pixels == RED).all()


@pytest.mark.parametrize("turn", [1, 6])
def test_the_pixels_of_a_square_are_those_that_the_file_has(turn: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    photo = prepared(saved(quarters(4000, 300), "JPEG", exif=exif), zoom=4.0)
    assert photo.square.width >= 32  # 75 of the file's own pixels
    assert photo.square.width * max(photo.size) / max(photo.oriented.size) == pytest.approx(75, abs=2)
    assert not [note for note in photo.notes if "enlarged" in note]


@pytest.mark.parametrize(("size", "expected"), [((4000, 100), r"only 25x25 pixels"), ((60_000, 255), "about 66x66")])
def test_an_enlarged_square_is_told_in_the_pixels_of_the_file(size: tuple[int, int], expected: str) -> None:
    photo = prepared(saved(Image.new("RGB", size, RED)), zoom=4.0)
    assert re.search(expected, photo.notes[-1])
    assert photo.oriented.width * photo.oriented.height <= 2**19


@pytest.mark.slow
def test_a_large_photo_is_shown_on_a_smaller_copy_but_keeps_its_own_size() -> None:
    for format in ("PNG", "JPEG"):
        photo = prepared(saved(quarters(4000, 3000), format))
        assert photo.size == (4000, 3000)
        assert max(photo.original.size) <= MAX_COPY_SIDE
        assert photo.original.width / photo.original.height == pytest.approx(4 / 3, rel=0.01)
        assert corners(photo.pixels) == UPRIGHT
        assert "shown on a copy" in photo.notes[0]


def test_a_long_thin_picture_keeps_pixels_on_its_short_side() -> None:
    assert min(prepared(saved(quarters(6000, 70))).original.size) == 70


@pytest.mark.parametrize("size", [(20_000, 60), (60, 20_000), (60_000, 64), (65_535, 1), (1, 65_535), (3000, 100)])
def test_the_bars_beside_a_thin_picture_never_make_it_larger_than_a_working_copy(size: tuple[int, int]) -> None:
    photo = prepared(saved(Image.new("RGB", size, RED)), pad=True)
    assert photo.size == size
    assert max(photo.square.size) <= MAX_COPY_SIDE
    assert min(photo.oriented.size) >= 1
    left, top, right, bottom = photo.box
    assert (right - left, bottom - top) == photo.square.size
    assert (photo.oriented.width > photo.oriented.height) == (size[0] > size[1])
    assert (photo.pixels == RED).all()


@pytest.mark.slow
def test_a_thin_picture_between_bars_keeps_its_colours_where_they_were() -> None:
    photo = prepared(saved(quarters(20_000, 2000).resize((20_000, 60))), pad=True)
    assert photo.oriented.size == (625, 2)
    middle = np.asarray(photo.square)[311:315]  # two rows of the picture and two of the bars
    assert (np.abs(middle[:, 156].astype(int) - RED).sum(axis=1) < 30).any()
    assert (np.abs(middle[:, 468].astype(int) - YELLOW).sum(axis=1) < 30).any()


@pytest.mark.parametrize("size", [(640, 480), (1024, 768), (1025, 700), (2500, 1900), (1900, 2500), (3000, 1000)])
@pytest.mark.slow
def test_an_ordinary_photo_is_averaged_in_whole_blocks_and_then_cut_or_padded(size: tuple[int, int]) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size[::-1], 3), np.uint8))
    copy = noise.reduce(-(-max(size) // MAX_COPY_SIDE))
    (width, height), short, long = copy.size, min(copy.size), max(copy.size)
    left, top = round((width - short) / 2), round((height - short) / 2)
    cut = copy.crop((left, top, left + short, top + short)).resize((32, 32), Image.Resampling.BOX)
    assert np.array_equal(prepared(saved(noise)).pixels, cut)
    average = tuple(np.rint(np.asarray(copy).mean(axis=(0, 1))).astype(int).tolist())
    bars = Image.new("RGB", (long, long), average)
    bars.paste(copy, ((long - width) // 2, (long - height) // 2))
    assert np.array_equal(prepared(saved(noise), pad=True).pixels, bars.resize((32, 32), Image.Resampling.BOX))


def test_a_side_longer_than_any_camera_makes_is_refused() -> None:
    for size in ((65_536, 1), (1, 4_000_000)):
        with pytest.raises(PhotoError, match=rf"at most 65,535 pixels a side. Received: {size[0]}x{size[1]}"):
            prepared(saved(Image.new("L", size)))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_photo_is_turned_upright_as_the_camera_noted(turn: int, format: str) -> None:
    undo = {5: 5, 6: 8, 7: 7, 8: 6}.get(turn, turn)  # the quarter turns undo each other, all else undoes itself
    image = quarters(600, 400)
    stored = (
        image.transpose(photo_preprocessing.EXIF_TRANSFORMS[undo][0])
        if undo in photo_preprocessing.EXIF_TRANSFORMS
        else image
    )
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    photo = prepared(saved(stored, format, exif=exif))
    assert photo.oriented.size == (600, 400)
    assert corners(photo.pixels) == UPRIGHT


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells the log about it
def test_a_damaged_exif_note_does_not_cost_the_picture() -> None:
    photo = prepared(saved(quarters(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01garbage"))
    assert corners(photo.pixels) == UPRIGHT


# Unusual pictures


def test_printing_colours_become_screen_colours() -> None:
    photo = prepared(saved(quarters().convert("CMYK"), "JPEG"))
    assert corners(photo.pixels) == UPRIGHT
    assert "CMYK" in photo.notes[0]


def test_sixteen_bits_become_eight_without_clipping() -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    for format in ("PNG", "TIFF"):
        photo = prepared(saved(Image.fromarray(ramp), format))
        assert np.allclose(photo.pixels[16, :, 0], np.linspace(2, 253, 32), atol=5)
        assert "8 bits" in photo.notes[0]


def test_floating_point_pictures_are_stretched_to_what_a_screen_can_show() -> None:
    ramp = np.tile(np.linspace(-1, 7, 64).astype(np.float32), (64, 1))
    pixels = prepared(saved(Image.fromarray(ramp), "TIFF")).pixels
    assert np.allclose(pixels[16, :, 0], np.linspace(2, 253, 32), atol=5)


@pytest.mark.parametrize("type_", [np.uint16, np.float32])
def test_more_than_eight_bits_need_a_few_bytes_a_pixel_on_the_way(type_: type) -> None:
    data = saved(Image.fromarray(np.zeros((1500, 2000), type_)), "TIFF")
    tracemalloc.start()  # what NumPy takes, not what Pillow does
    prepared(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 14 * 1500 * 2000


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [3, 4])
def test_more_than_eight_bits_of_a_colour_are_told(bits: int, format: str, channels: int) -> None:
    data = colour_png(bits, channels) if format == "PNG" else colour_tiff(bits, channels)
    photo = prepared(data)
    assert (photo.pixels == (200, 100, 50)).all()
    assert photo.notes == (("Values of more than 8 bits were brought to 0..255.",) if bits == 16 else ())


def deep_values(bits: int, channels: int, byte_order: str) -> bytes:
    """40x40 pixels of (200, 100, 50), opaque where there are four channels."""
    values = np.array([200, 100, 50, 255][:channels], int) * (257 if bits == 16 else 1)
    return np.tile(values, (40 * 40, 1)).astype(f"{byte_order}u{bits // 8}").tobytes()


def colour_png(bits: int, channels: int) -> bytes:
    """A PNG of `deep_values`, which Pillow cannot write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = np.frombuffer(deep_values(bits, channels, ">"), np.uint8).reshape(40, -1)
    header = struct.pack(">IIBBBBB", 40, 40, bits, {3: 2, 4: 6}[channels], 0, 0, 0)
    pixels = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def colour_tiff(bits: int, channels: int) -> bytes:
    """A TIFF of `deep_values`, which Pillow cannot write."""
    strip = deep_values(bits, channels, "<")
    depths = struct.pack(f"<{channels}H", *[bits] * channels)
    after = 8 + len(strip)
    entries = [(256, 4, 1, 40), (257, 4, 1, 40), (258, 3, channels, after), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 1, 8), (277, 3, 1, channels), (278, 4, 1, 40), (279, 4, 1, len(strip))]
    entries += [(338, 3, 1, 2)] if channels == 4 else []
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    start = struct.pack("<I", after + len(depths))
    return b"II*\0" + start + strip + depths + struct.pack("<H", len(entries)) + directory + bytes(4)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_an_opaque_picture_is_not_told_to_have_transparent_parts(mode: str) -> None:
    opaque = quarters(2000, 1500).convert("LA" if mode == "LA" else "RGBA")
    data = saved(opaque.quantize(16) if mode == "P" else opaque)
    assert not [note for note in prepared(data).notes if "ransparent" in note]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparent_parts_become_white(mode: str) -> None:
    image = quarters().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 200, 200))
    if mode == "P":  # a palette with alpha, as image editors write it
        data = saved(image.quantize(16), "PNG")
    else:
        data = saved(image.convert("LA" if mode == "LA" else "RGBA"), "TIFF" if mode == "PA" else "PNG")
    photo = prepared(data)
    assert corners(photo.pixels)[0] == "white"
    assert photo.notes == ("Transparent parts were put on white.",)


def test_black_and_white_is_told_to_be_unusual() -> None:
    photo = prepared(saved(quarters().convert("1")))
    assert photo.notes == ("This image has no colors; the network was trained on color images.",)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_of_a_moving_picture_the_first_is_used_and_the_note_says_so(format: str) -> None:
    frames = [quarters().rotate(90), quarters().rotate(180)]
    photo = prepared(saved(quarters(), format, save_all=True, append_images=frames, duration=100))
    assert corners(photo.pixels) == UPRIGHT
    assert photo.notes == (f"This {format} moves; its first picture is used.",)


# Bad files


def test_a_picture_of_20000_by_20000_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(
        PhotoError, match=r"PNG picture of at most 24 million pixels. Received: 20000x20000, 400 million"
    ):
        prepare_photo(png_header(20_000, 20_000))
    with pytest.raises(PhotoError, match=r"PNG picture of at most 24 million pixels. Received: 9000x8000, 72 million"):
        prepare_photo(png_header(9_000, 8_000))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_a_truncated_picture_is_one_sentence_wherever_it_is_cut(format: str) -> None:
    whole = saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)), format)
    for keep in (5, 30, len(whole) // 4, len(whole) // 2, len(whole) * 9 // 10):
        with pytest.raises(PhotoError, match=r"damaged or incomplete|not a picture that can be read"):
            prepared(whole[:keep])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_a_corrupt_picture_is_one_sentence_or_a_spoilt_picture_but_never_a_crash(format: str) -> None:
    random = np.random.default_rng(0)
    whole = saved(quarters(64, 64), format)
    for _ in range(100):
        spoilt = bytearray(whole)
        for place in random.integers(0, len(whole), 5):
            spoilt[place] = random.integers(0, 256)
        with suppress(PhotoError):
            assert prepared(bytes(spoilt)).pixels.shape == (32, 32, 3)


def test_a_text_file_named_jpg_an_empty_file_and_a_page_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("a letter to my aunt")
    for data in ((tmp_path / "photo.jpg").read_bytes(), b"<html></html>", b"\0" * 1000, b"%PDF-1.7\n"):
        with pytest.raises(PhotoError, match="not a picture that can be read here: choose a PNG, JPEG"):
            prepared(data)
    with pytest.raises(PhotoError, match="This file is empty"):
        prepare_photo(b"")


def test_a_phone_format_we_cannot_read_is_named() -> None:
    with pytest.raises(PhotoError, match=r"HEIC photo.*save it as JPEG"):
        prepared(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))


def test_a_file_of_too_many_bytes_is_refused() -> None:
    with pytest.raises(PhotoError, match=r"at most 25 MB. Received: 31 MB"):
        prepare_photo(bytes(30_500_000))


def test_formats_nobody_uploads_are_not_even_tried() -> None:
    with pytest.raises(PhotoError, match="not a picture that can be read here"):
        prepared(saved(quarters(), "PPM"))
