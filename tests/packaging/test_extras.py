"""What an installation without an extra can do, and what it says of the rest. The libraries of the
extras are hidden from a process, as if they were not installed."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from boards import write_runs

from s1_eval.engines.table import ENGINES
from s1_eval.harness import lm_eval_models
from s1_eval.libraries import EXTRAS

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

HIDDEN = """
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in {hidden!r}
        return None if hidden else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Hiding, sys.meta_path)
from {module} import main
sys.exit(main(sys.argv[1:]))
"""


def without(
    hidden: Collection[str], *command: object, module: str = "s1_eval.cli.main"
) -> subprocess.CompletedProcess[str]:
    program = HIDDEN.format(hidden=set(hidden), module=module)
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, *map(str, command)], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs in folders 0 to 3."""
    folder = tmp_path_factory.mktemp("recorded")
    write_runs(folder, questions=8)
    return folder


def listed() -> Mapping[str, set[str]]:
    """By extra: the packages that it lists itself."""
    return {
        extra: {re.split(r"[\[<>=;]", line)[0] for line in lines} - {PROJECT["name"]}
        for extra, lines in PROJECT["optional-dependencies"].items()
    }


def test_every_library_of_an_extra_is_known_by_the_smallest_that_has_it() -> None:
    extras = {extra: names for extra, names in listed().items() if extra not in ("all", "dev")}
    told = {library.replace("_", "-"): extra for library, extra in EXTRAS.items()}
    assert told == {name: extra for extra, names in extras.items() for name in names}


def test_all_is_every_extra_of_a_user() -> None:
    named = re.findall(r"s1-eval\[([\w,-]+)\]", " ".join(PROJECT["optional-dependencies"]["all"]))
    assert set(",".join(named).split(",")) == listed().keys() - {"all", "dev"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "score RUNS",
        "score RUNS --json",
        "compare RUNS/1 RUNS/3",
        "leaderboard build RUNS --out OUT/site",
        "leaderboard check RUNS --baseline RUNS --resamples 50",
        "check -- 1/2 0.5",
    ],
)
def test_what_reads_and_scores_records_needs_no_extra(
    recorded: Path, tmp_path: Path, command: str
) -> None:
    words = command.replace("RUNS", str(recorded)).replace("OUT", str(tmp_path)).split()
    done = without(EXTRAS, *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hidden", "command", "extra"),
    [
        (EXTRAS, "sweep --model s1_hf/nano --task nano --methods plain --out OUT", "hf"),
        (["torch"], "sweep --model s1_hf/nano --task nano --methods plain --out OUT", "hf"),
        (EXTRAS, "doctor --model s1_hf/nano", "api"),
        (EXTRAS, "doctor --server http://127.0.0.1:9/v1", "api"),
        (EXTRAS, "sweep --model s1_api/x --task nano --methods plain --out OUT", "api"),
        (EXTRAS, "sweep --model s1_vllm/nano --task nano --methods plain --out OUT", "vllm"),
        (EXTRAS, "score OUT/a.eval", "inspect"),
    ],
)
def test_what_needs_an_extra_names_it(
    tmp_path: Path, hidden: Collection[str], command: str, extra: str
) -> None:
    (tmp_path / "a.eval").write_bytes(b"")
    done = without(hidden, *command.replace("OUT", str(tmp_path)).split())
    assert done.returncode == 2
    assert f"pip install 's1-eval[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_training_names_its_own_extra() -> None:
    recipe = ROOT / "training" / "recipes" / "nano.yaml"
    done = without(EXTRAS, "sft", recipe, module="s1_eval.cli.train")
    assert done.returncode == 2
    assert "pip install 's1-eval[train]'" in done.stderr


@pytest.mark.slow
def test_an_engine_needs_no_harness(tmp_path: Path) -> None:
    hidden = ("inspect_ai", "lm_eval", "trl", "vllm", "starlette", "uvicorn")
    command = "sweep --model s1_hf/nano --task nano --methods plain --limit 2 --out"
    done = without(hidden, *command.split(), tmp_path / "runs")
    assert done.returncode == 0, done.stderr


def test_an_lm_eval_with_plug_ins_finds_every_engine() -> None:
    declared = PROJECT["entry-points"]["lm_eval.models"]
    assert declared == {name: f"s1_eval.harness.lm_eval_models:{name}" for name in ENGINES}
    for name, value in declared.items():
        model = importlib.metadata.EntryPoint(name, value, "lm_eval.models").load()
        assert issubclass(model, lm_eval_models.S1Model)
