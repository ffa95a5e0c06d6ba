"""`Mistake` and `SheetError`: what is wrong in the file of a lab sheet, and in which line."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """What is wrong in a line of a sheet's file."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class SheetError(ValueError):
    """A sheet with mistakes; `mistakes` has them in the order of the file."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.line))
        super().__init__("; ".join(map(str, self.mistakes)))
