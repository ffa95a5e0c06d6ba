"""What a measurement came to: a table to paste into a note, and the exit code."""

from dataclasses import dataclass, field


@dataclass
class Findings:
    """Rows of what was measured; where there is a target, whether it was met."""

    title: str
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def tell(self, what: str, measured: object, target: str = "", met: bool = True) -> None:
        """One row. `met` counts only where a target is named."""
        told = f"{target}: {'met' if met else 'MISSED'}" if target else ""
        self.rows.append((what, str(measured), told))
        if target and not met:
            self.missed.append(what)

    def close(self) -> int:
        """Print the table; 0 where every target was met, else 1."""
        print(f"\n{self.title}\n\n| what | measured | target |\n| --- | --- | --- |")
        for row in self.rows:
            print(f"| {' | '.join(row)} |")
        print(f"\nmissed: {', '.join(self.missed)}" if self.missed else "\nevery target was met", flush=True)
        return int(bool(self.missed))
