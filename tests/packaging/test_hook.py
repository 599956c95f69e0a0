"""The start-up hook that lets the stock lm-eval find us: what it costs and what it may not do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from s1_eval import tasks
from s1_eval.harness import lm_eval_hook

ROOT = Path(__file__).parent.parent.parent
PTH = ROOT / "s1_eval_lm_eval_hook.pth"


def start(*paths: Path, **environment: str) -> dict[str, list[str]]:
    """What a bare interpreter has after the .pth line, executed twice as `site` does."""
    program = (
        "import json, sys\n"
        f"sys.path[:0] = {[str(path) for path in paths]}\n"
        "before = set(sys.modules)\n"
        f"exec(2 * open({str(PTH)!r}).read())\n"
        "print(json.dumps({'modules': sorted(set(sys.modules) - before),\n"
        "                  'finders': [type(f).__name__ for f in sys.meta_path]}))\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
        cwd=ROOT.parent,
    )
    assert done.stderr == ""
    started: dict[str, list[str]] = json.loads(done.stdout)
    return started


def test_the_pth_is_one_line_that_site_executes() -> None:
    (line,) = PTH.read_text().splitlines()
    assert line.startswith("import ")


def test_it_loads_the_standard_library_and_itself_alone() -> None:
    started = start(ROOT)
    ours = {"s1_eval", "s1_eval.harness", "s1_eval.harness.lm_eval_hook"}
    assert {m for m in started["modules"] if m.split(".")[0] not in sys.stdlib_module_names} == ours
    assert "typing" not in started["modules"]
    assert started["finders"][0] == "Finder"
    assert started["finders"].count("Finder") == 1


def test_it_is_off_where_the_user_says_so() -> None:
    assert "Finder" not in start(ROOT, S1_EVAL_NO_LM_EVAL_HOOK="1")["finders"]


def test_it_is_silent_where_the_package_is_gone() -> None:
    started = start()
    assert "Finder" not in started["finders"]


def test_a_patch_that_fails_leaves_the_module_usable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "patched_module.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [lm_eval_hook.Finder(), *sys.meta_path])

    def fails(module: types.ModuleType) -> None:
        assert module.value == 1
        raise AttributeError("lm-eval has changed")

    monkeypatch.setitem(lm_eval_hook.AFTER, "patched_module", fails)
    import patched_module

    assert patched_module.value == 1
    assert "can't extend patched_module: AttributeError('lm-eval has changed')" in (
        capsys.readouterr().err
    )


def test_a_module_that_is_not_there_stays_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lm_eval_hook.AFTER, "no_such_module", lambda module: None)
    assert lm_eval_hook.Finder().find_spec("no_such_module") is None
    assert lm_eval_hook.Finder().find_spec("json") is None


def test_finders_without_find_spec_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        """As some packages still install."""

    monkeypatch.setattr(sys, "meta_path", [Old(), lm_eval_hook.Finder(), *sys.meta_path])
    monkeypatch.setitem(lm_eval_hook.AFTER, "json.tool", lambda module: None)
    assert isinstance(lm_eval_hook.Finder().find_spec("json.tool", None), ModuleSpec | None)


def test_our_tasks_follow_lm_evals_own_and_precede_the_users(tmp_path: Path) -> None:
    seen = []

    class TaskIndex:
        @staticmethod
        def build(paths: list[Path], **kwargs: object) -> dict[str, object]:
            seen.append((paths, kwargs))
            return {"s1_nano": "a file of somebody's"}

    manager = types.SimpleNamespace(
        TaskIndex=TaskIndex,
        Entry=lambda *parts: parts,
        Kind=types.SimpleNamespace(TASK="task"),
        __file__=str(tmp_path / "manager.py"),
    )
    lm_eval_hook.add_tasks(manager)
    ours = Path(tasks.__path__[0])
    mine = tmp_path / "mine"
    index = manager.TaskIndex.build([tmp_path, mine], x=1)
    assert index["s1_nano"] == "a file of somebody's"
    assert index["s1_math500"][:3] == ("s1_math500", "task", None)
    assert manager.TaskIndex.build([mine]).keys() == {"s1_nano"}
    assert seen == [([tmp_path, ours, mine], {"x": 1}), ([mine], {})]


def test_tasks_that_can_not_be_listed_leave_lm_evals_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class TaskIndex:
        @staticmethod
        def build(paths: list[Path], **kwargs: object) -> dict[str, object]:
            return {"gsm8k": "theirs"}

    manager = types.SimpleNamespace(
        TaskIndex=TaskIndex, __file__=str(tmp_path / "manager.py"), __name__="lm_eval.tasks.manager"
    )  # without Entry: lm-eval has moved it
    lm_eval_hook.add_tasks(manager)
    assert manager.TaskIndex.build([tmp_path]) == {"gsm8k": "theirs"}
    assert "can't extend lm_eval.tasks.manager" in capsys.readouterr().err
