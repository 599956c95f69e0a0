"""Bad input, said the way Inspect says it: the message alone, where another exception would be a
traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from s1_eval import libraries
from s1_eval.errors import UserError

libraries.check(__name__)
from inspect_ai._util.error import PrerequisiteError  # noqa: E402


class InspectUserError(UserError, PrerequisiteError):
    """A user's mistake that Inspect's command line prints without a traceback."""

    def __init__(self, said: str) -> None:
        from rich.markup import escape

        UserError.__init__(self, said)
        PrerequisiteError.__init__(self, escape(said))


@contextmanager
def plainly() -> Iterator[None]:
    """Inside, a UserError becomes an InspectUserError with the same message."""
    try:
        yield
    except UserError as error:
        raise InspectUserError(str(error)) from error
