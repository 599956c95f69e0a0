"""Engines and verifiers that live as long as the process, for harnesses: they do not say when the
last question is done, and ask for the same model again and again."""

from __future__ import annotations

import atexit
import json
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from s1_eval.engines import Engine
from s1_eval.verifiers import Verifier
from s1_eval.verifiers.table import VerifierSpec, open_verifier

T = TypeVar("T", Engine, Verifier)

_opened: dict[str, Any] = {}
_opening = threading.Lock()


def shared(open: Callable[..., T], /, *what: Any, **args: Any) -> T:
    """The process's one `open(*what, **args)`; blocks while it loads. It is closed when the process
    ends."""
    key = json.dumps([open.__qualname__, what, args], sort_keys=True, default=repr)
    with _opening:
        if key not in _opened:
            _opened[key] = opened = open(*what, **args)
            atexit.register(opened.close)
        found: T = _opened[key]
        return found


def shared_verifier(spec: VerifierSpec | None) -> Verifier | None:
    """The process's one verifier of that name and settings, see `shared` and `open_verifier`."""
    return None if spec is None else shared(open_verifier, spec)
