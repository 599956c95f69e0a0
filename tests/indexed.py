"""lm-eval's own task files, ten thousand, each parsed once by the process that imports this. Its
index of them takes seconds, and every command and every `TaskManager` makes one."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from lm_eval.tasks import TaskManager, _index

THEIRS = Path(_index.__file__).parent

_load = _index.load_yaml
_load_once = cache(_load)


def _load_yaml(path: Path, **how: Any) -> dict[str, Any]:
    """A copy for each index: nothing of one test in another."""
    return deepcopy(_load_once(path, **how)) if THEIRS in path.parents else _load(path, **how)


_index.load_yaml = _load_yaml
TaskManager()
