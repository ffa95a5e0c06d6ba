"""Small image files that take gigabytes or minutes to decode, each made on the spot, and a meter for the decoding."""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from cnnlab.data import photo_preprocessing
from cnnlab.photo_decoding.process import Limits, read_answer
from cnnlab.storage.limited_process import limited_environment

ROW_BYTES = 2**20  # of zeros, compressed at a time


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def compressed_zeros(count: int) -> bytes:
    """`count` zeros as a zlib stream, never whole in memory."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(min(ROW_BYTES, count - start))) for start in range(0, count, ROW_BYTES)]
    return b"".join([*parts, packer.flush()])


def rgba_png(width: int, height: int) -> bytes:
    """A PNG of transparent black: 8000x8000 in about a megabyte."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    pixels = chunk(b"IDAT", compressed_zeros(height * (4 * width + 1)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


def lossless_webp(width: int, height: int) -> bytes:
    """A WebP of 2.5 KB that claims these many pixels: that of a small picture with another size in its header."""
    data = bytearray(saved(Image.new("RGBA", (64, 64)), "WEBP", lossless=True))
    place = data.index(b"VP8L") + 9
    kept = int.from_bytes(data[place : place + 4], "little") & ~0xFFFFFFF
    data[place : place + 4] = (kept | (width - 1) | (height - 1) << 14).to_bytes(4, "little")
    return bytes(data)


def avif(width: int, height: int) -> bytes:
    """An AVIF of less than a kilobyte that claims these many pixels in its header."""
    data = bytearray(saved(Image.new("RGB", (64, 64)), "AVIF", speed=10))
    place = data.index(b"ispe") + 8
    data[place : place + 8] = struct.pack(">II", width, height)
    return bytes(data)


def float_tiff(width: int, height: int) -> bytes:
    """A TIFF of 32-bit floating point zeros, deflated in one strip."""
    strip = compressed_zeros(4 * width * height)
    values = {256: width, 257: height, 258: 32, 259: 8, 262: 1, 273: 8, 277: 1, 278: height, 279: len(strip), 339: 3}
    strip += bytes(len(strip) % 2)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory(values, 0)


def tiff_of_pages(count: int) -> bytes:
    """A TIFF of `count` pages of one grey pixel, about 100 bytes each."""
    values = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 8, 278: 1, 279: 1}
    size = len(directory(values, 0))
    parts = [b"II*\0" + struct.pack("<II", 12, 0)]
    for page in range(1, count + 1):
        parts.append(directory(values, 12 + page * size if page < count else 0))
    return b"".join(parts)


def directory(values: dict[int, int], following: int) -> bytes:
    """A TIFF's image file directory of numbers; `following` is the place of the next one."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    return struct.pack("<H", len(values)) + entries + struct.pack("<I", following)


def jpeg_of_scans(count: int, width: int = 4000, height: int = 3000) -> bytes:
    """A progressive JPEG that repeats a scan of its coefficients until it has `count` scans."""
    data = saved(Image.new("L", (width, height), 90), "JPEG", progressive=True)
    starts = [place for place in range(len(data) - 1) if data[place : place + 2] == b"\xff\xda"]
    tables = data.rindex(b"\xff\xc4", 0, starts[1])
    scan = data[tables : data.index(b"\xff\xc4", starts[1])] if b"\xff\xc4" in data[starts[1] :] else data[tables:-2]
    return data[:-2] + scan * (count - len(starts)) + data[-2:]


ATTACKS: dict[str, Callable[[], bytes]] = {
    "RGBA PNG of 8000x8000": lambda: rgba_png(8000, 8000),
    "lossless WebP of 16000x16000": lambda: lossless_webp(16_000, 16_000),
    "AVIF of 8000x8000": lambda: avif(8000, 8000),
    "float TIFF of 8000x8000": lambda: float_tiff(8000, 8000),
    "TIFF of 100,000 pages": lambda: tiff_of_pages(100_000),
    "progressive JPEG of 400 scans": lambda: jpeg_of_scans(400),
    "progressive JPEG of 4,000 scans": lambda: jpeg_of_scans(4000),
}

# Runs the command in its arguments as its only child and reports what the kernel counted for it; a process of its own,
# because the peak that Linux reports for a child includes that of the process that started it.
METER = """
import json, resource, subprocess, sys
done = subprocess.run(json.loads(sys.argv[1]), stdin=0, stdout=1, env=json.loads(sys.argv[2]), check=False)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000]), file=sys.stderr)
"""


@dataclass(frozen=True)
class Usage:
    """What decoding one file took: exit code, seconds of CPU, peak of resident memory in MB; and what came of it."""

    code: int
    cpu_seconds: float
    megabytes: float
    output: bytes

    @property
    def problem(self) -> str:
        """The sentence, "" where the file was decoded."""
        try:
            read_answer(self.output)
        except ValueError as error:
            return str(error)
        return ""


def decoded_with_meter(data: bytes) -> Usage:
    """Decode a file with the app's own command, environment and limits."""
    limits = Limits(64, photo_preprocessing.DECODER_MEMORY, photo_preprocessing.DECODER_CPU_SECONDS)
    command = json.dumps(photo_preprocessing._decoder_command(limits))
    environment = json.dumps(limited_environment())
    meter = [sys.executable, "-I", "-S", "-c", METER, command, environment]
    done = subprocess.run(meter, input=data, capture_output=True, check=True)
    code, seconds, megabytes = json.loads(done.stderr.splitlines()[-1])
    return Usage(code, seconds, megabytes, done.stdout)
