"""The result of one check of the doctor."""

from dataclasses import dataclass

OK, NOTE, FAIL = "ok", "note", "FAIL"


@dataclass(frozen=True)
class Finding:
    """The result of one check: its subject, state (OK, NOTE or FAIL), message and remedy."""

    subject: str
    state: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.state:4}  {self.subject:<11} {self.message}{f' -> {self.remedy}' if self.remedy else ''}"
