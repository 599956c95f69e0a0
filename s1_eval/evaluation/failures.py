"""What becomes of a question that an engine can't answer, wherever it is asked: the others go on,
until more have failed than the user allows."""

from __future__ import annotations

from dataclasses import dataclass

from s1_eval.errors import SampleFailed, UserError

FailOnError = bool | float
"""Which failures end a run, as Inspect spells it: True is the first, False none, a number below 1 a
share of all samples, any other that many."""


class TooManyFailed(RuntimeError):
    """More samples failed than allowed; what was finished is kept."""


@dataclass(slots=True)
class Tolerance:
    """Counts failures against what is allowed.

    total: all samples, of which a share is meant.
    """

    fail_on_error: FailOnError
    total: int
    failed: int = 0

    def count(self, error: SampleFailed) -> None:
        """Raises TooManyFailed where this failure is one too many."""
        self.failed += 1
        allowed = self.fail_on_error
        if allowed is False:
            return
        most = 1 if allowed is True else allowed if allowed >= 1 else allowed * self.total
        if self.failed >= most:
            raise TooManyFailed(
                f"{self.failed} of {self.total} samples failed, and fail_on_error={allowed} ends "
                f"it there; the last one: {error}"
            ) from error


def check_fail_on_error(value: object) -> FailOnError:
    """The value, of Python or of a command line. Raises UserError on another one."""
    words: dict[object, bool] = {"true": True, "false": False}
    if isinstance(value, str):
        value = words.get(value.lower(), value)
    if isinstance(value, bool):
        return value
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise UserError(
            f"fail_on_error={value!r}: give true, false, a number of samples, or a share below 1"
        )
    return number
