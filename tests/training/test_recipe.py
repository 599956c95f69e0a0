# ruff: noqa: S603
"""A recipe is data: what it may say is known, and anything else is named with what to type."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from s1_eval.errors import UserError
from s1_eval.training import recipe_files
from s1_eval.training.curation.question import Question
from s1_eval.training.curation.recipe import load as curation
from s1_eval.training.curation.stages import write_rows
from s1_eval.training.main import main
from s1_eval.training.recipe import load

RECIPE = Path(__file__).parents[2] / "training" / "recipes" / "nano.yaml"


def written(tmp_path: Path, **changes: object) -> Path:
    """nano's recipe with top-level `changes`; a value of None leaves the key out."""
    data = yaml.safe_load(RECIPE.read_text()) | changes
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in data.items() if v is not None}))
    return path


FINE_TUNING = [
    name for name, path in recipe_files.recipes().items() if recipe_files.command(path) == "sft"
]


@pytest.mark.parametrize("name", FINE_TUNING)
def test_a_shipped_recipe_loads(name):
    assert load(name) == load(RECIPE.with_name(f"{name}.yaml"))


def test_each_leaves_its_checkpoint_in_a_folder_of_its_own():
    assert len({load(name).output for name in FINE_TUNING}) == len(FINE_TUNING)


@pytest.mark.parametrize("variant", ["random", "diverse", "longest", "full"])
def test_an_ablation_reads_what_its_curation_writes(variant, tmp_path):
    source = load(f"s1_32b_{variant}").source
    question = Question("id", "math", "1+1?", thinking="Two.", attempt="2")
    write_rows(tmp_path / "examples.parquet", Question, [question])
    assert source.dataset == f"{curation('s1k').output}/{variant}-seed0/examples.parquet"
    read = replace(source, dataset=str(tmp_path / "examples.parquet"), examples=None).rows()
    assert [read[0][key] for key in (source.question, source.thinking, source.answer)] == [
        *("1+1?", "Two.", "2")
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainin": {}}, "no key 'trainin': did you mean 'training'"),
        ({"training": {"learning_rat": 1}}, "training has no key 'learning_rat'"),
        ({"training": {"learning_rate": 1e-3}}, "training: give exactly one of batch_size, tokens"),
        (
            {"training": {"learning_rate": -1, "tokens_per_batch": 9}},
            "training.learning_rate=-1: give a number above 0",
        ),
        (
            {"training": {"learning_rate": "1e-3", "tokens_per_batch": 9}},
            "training.learning_rate='1e-3': give a number",
        ),
        (
            {"training": {"learning_rate": 1e-3, "tokens_per_batch": 9, "schedule": "cosin"}},
            "training.schedule='cosin': give `cosine`, `linear`",
        ),
        ({"source": {"nanno": {}}}, "source: give exactly one of nano"),
        ({"source": {"nano": {"examples": 0, "waits": [1]}}}, "examples=0"),
        ({"source": {"nano": {"examples": 1, "waits": [0, 0, 1]}}}, "waits=(0, 0, 1): give"),
        ({"source": {"nano": {"examples": 1, "waits": [1.5]}}}, "source.nano.waits=[1.5]: give a"),
        ({"source": {"nano": {"examples": 1, "waits": 3}}}, "source.nano.waits=3: give a list"),
        ({"source": {"nano": {"examples": 1, "waits": [1], "max_steps": 1}}}, "max_steps=1: give"),
        ({"source": {"nano": {"examples": 1, "waits": [1], "cut_share": 2}}}, "cut_share=2: give"),
        ({"source": {"nano": {"examples": 1, "waits": [1], "slips": [0, 2]}}}, "two shares from 0"),
        (
            {"source": {"nano": {"examples": 1, "waits": [1], "slips": [1]}}},
            "give a list of 2 numbers",
        ),
        ({"source": {"nano": 3}}, "source.nano has to be a mapping, not 3"),
        ({"model": {}}, "model: give exactly one of shape, pretrained"),
        ({"model": {"shape": {"hidden_sise": 8}}}, "model.shape has no key 'hidden_sise'"),
        ({"model": None}, "the recipe lacks the key 'model'"),
    ],
)
def test_a_mistake_is_named(tmp_path, changes, message):
    with pytest.raises(UserError) as caught:
        load(written(tmp_path, **changes))
    assert message in str(caught.value)


def test_a_mistake_is_all_that_the_command_prints(tmp_path, capsys):
    path = written(tmp_path, trainin={})
    assert main(["sft", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("s1-train: the recipe has no key 'trainin'")
    assert err.count("\n") == 1


@pytest.mark.parametrize("text", ["- 1\n", "a: [\n", "", "!!python/object:os.system {}\n"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UserError):
        load(path)


def test_a_missing_recipe_is_refused(tmp_path):
    with pytest.raises(UserError, match="no recipe at"):
        load(tmp_path / "nowhere.yaml")


def test_our_recipes_are_found_by_name_wherever_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("nano").mkdir()
    for name, path in recipe_files.recipes().items():
        assert recipe_files.find(name) == recipe_files.find(f"{name}.yaml") == path
    assert load("s1_1.5b") == load(RECIPE.with_name("s1_1.5b.yaml"))
    with pytest.raises(UserError, match=r"no recipe at s1_32: did you mean 's1_32b'\?"):
        load("s1_32")
    Path("s1_32b.yaml").write_text("based_on: nano.yaml\noutput: mine\n")
    assert load("s1_32b.yaml").output == "mine", "a file that is there comes first"
    assert load("s1_32b.yaml").source == load("nano").source, "and may be based on one of ours"


def test_our_recipes_are_listed_with_the_command_that_takes_them(capsys):
    assert main(["recipes"]) == 0
    rows = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    listed = {row[0]: row[1:] for row in rows if len(row) == 3}
    assert recipe_files.recipes().keys() <= listed.keys()
    assert listed["s1k"][0] == "curate"
    assert listed["nano_prm"][0] == "prm"
    assert listed["s1_1_32b"][0] == "sft"
    assert listed["s1_32b"][1].startswith("s1-32B (arXiv 2501.19393): Qwen2.5-32B-Instruct on s1K")


def test_help_loads_no_model_library():
    code = (
        "import sys; from s1_eval.training import main, recipe, sft; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'trl', 'datasets')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
