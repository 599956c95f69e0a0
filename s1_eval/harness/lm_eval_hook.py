"""Lets the stock `lm_eval` find our models and tasks by name; it has no plug-in entry points.

`s1_eval_lm_eval_hook.pth` calls `install` whenever this environment's Python starts: standard
library only, a few lines, and no error of ours may reach the interpreter. Nothing happens until
lm-eval itself is imported. S1_EVAL_NO_LM_EVAL_HOOK=1 turns it off.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing typing for it would cost every interpreter start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.machinery import ModuleSpec
    from pathlib import Path
    from types import ModuleType
    from typing import Any

OFF = "S1_EVAL_NO_LM_EVAL_HOOK"


def install() -> None:
    """Watch for lm-eval's imports, unless the user said not to. In a virtual environment `site`
    runs the .pth line twice."""
    watched = any(isinstance(finder, Finder) for finder in sys.meta_path)
    if not watched and os.environ.get(OFF, "") in ("", "0"):
        sys.meta_path.insert(0, Finder())


def add_models(_: ModuleType) -> None:
    from lm_eval.api.registry import model_registry

    from s1_eval.engines.table import ENGINES

    for name in ENGINES:
        if name not in model_registry:
            model_registry.register(name, target=f"s1_eval.harness.lm_eval_models:{name}")


def add_tasks(module: Any) -> None:
    from importlib.util import find_spec
    from pathlib import Path

    theirs = Path(module.__file__).parent
    found: Any = find_spec("s1_eval.tasks")
    ours = Path(found.submodule_search_locations[0])

    class TaskIndex(module.TaskIndex):  # type: ignore[misc]
        """Ours after lm-eval's own tasks, before the user's, which may replace them."""

        @staticmethod
        def build(paths: Iterable[Path], **kwargs: Any) -> Any:
            with_ours = [q for p in paths for q in ((p, ours) if p == theirs else (p,))]
            index = super(TaskIndex, TaskIndex).build(with_ours, **kwargs)
            if ours in with_ours:
                _safely(_list_tasks, module, index)
            return index

    module.TaskIndex = TaskIndex


def _list_tasks(module: Any, index: Any) -> None:
    from s1_eval.harness.lm_eval_tasks import configs

    for name, config in configs().items():
        index.setdefault(name, module.Entry(name, module.Kind.TASK, None, config))


AFTER: dict[str, Callable[[Any], None]] = {
    "lm_eval.models": add_models,
    "lm_eval.tasks.manager": add_tasks,
}
"""What to do once a module has been executed."""


class Finder:
    """Finds a module of `AFTER` as the other finders do, and has its patch follow it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        patch = AFTER.get(name)
        if patch is None:
            return None
        others = (f for f in sys.meta_path if not isinstance(f, Finder))
        specs = (f.find_spec(name, path, target) for f in others if hasattr(f, "find_spec"))
        spec = next((s for s in specs if s is not None), None)
        loader: Any = spec and spec.loader
        if hasattr(loader, "exec_module"):
            loader.exec_module = _then(loader.exec_module, patch)
        return spec


def _then(execute: Callable[[Any], None], patch: Callable[[Any], None]) -> Callable[[Any], None]:
    def exec_module(module: ModuleType) -> None:
        execute(module)
        _safely(patch, module)

    return exec_module


def _safely(extend: Callable[..., None], module: Any, *more: Any) -> None:
    """Extend lm-eval, or say why not: it goes on without us."""
    try:
        extend(module, *more)
    except Exception as error:
        from s1_eval.libraries import versions

        said = f"can't extend {module.__name__}: {error!r}. {versions('lm_eval')}"
        print(f"s1_eval: {said}", file=sys.stderr)  # noqa: T201
