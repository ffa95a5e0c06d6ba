"""The size of this installation: the bytes of each installed package, and of what Python has compiled of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from importlib.util import cache_from_source
from pathlib import Path

from cnnlab.bench.options import BenchOptions

SHOWN = 10
MEGABYTE = 1e6


@dataclass(frozen=True)
class PackageSize:
    """The bytes of a package's files, and of the compiled files beside them, which pip writes and uv does not."""

    name: str
    files: int
    compiled: int


def bench_install(_options: BenchOptions) -> None:
    """Print the packages of this environment that take most, and the sum of all; in megabytes of 1,000,000 bytes."""
    sizes = sorted(map(package_size, distributions()), key=lambda size: size.files + size.compiled, reverse=True)
    print(f"{'package':24} {'MB':>8} {'compiled':>9}")
    for size in [*sizes[:SHOWN], total(f"the other {len(sizes[SHOWN:])}", sizes[SHOWN:]), total("all", sizes)]:
        print(f"{size.name:24} {size.files / MEGABYTE:8.1f} {size.compiled / MEGABYTE:9.1f}")


def package_size(distribution: Distribution) -> PackageSize:
    """The size of the files that the package's RECORD lists and that are there."""
    paths = [Path(str(file.locate())) for file in distribution.files or () if file.suffix != ".pyc"]
    compiled = [Path(cache_from_source(str(path))) for path in paths if path.suffix == ".py"]
    return PackageSize(distribution.name, sum(map(_bytes, paths)), sum(map(_bytes, compiled)))


def total(name: str, sizes: Iterable[PackageSize]) -> PackageSize:
    """The sum of these sizes."""
    listed = list(sizes)
    return PackageSize(name, sum(size.files for size in listed), sum(size.compiled for size in listed))


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
