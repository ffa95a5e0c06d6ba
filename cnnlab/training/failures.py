"""Why a training failed: the errors that it raises, and the reason that is recorded, one sentence for a student."""


class RunLocked(RuntimeError):
    """Another process trains this run."""


class Diverged(ArithmeticError):
    """The loss is not finite."""


def failure_message(problem: BaseException) -> str:
    """The reason of a failure: one sentence for a student."""
    if isinstance(problem, Diverged):
        return f"{problem} Its learning rate is probably too high: choose a smaller one."
    if isinstance(problem, MemoryError) or "RESOURCE_EXHAUSTED" in str(problem) or "OOM" in str(problem):
        return "The machine ran out of memory; choose fewer filters or a smaller batch."
    if isinstance(problem, OSError):
        return f"The run could not be written: {problem.strerror or problem}."
    first_line = (str(problem).strip() or "no message").splitlines()[0]
    return f"Something unexpected happened ({type(problem).__name__}: {first_line[:120]}); the log has the details."
