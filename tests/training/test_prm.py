"""Labels and rows of nano-prm's examples, and what its recipe may say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from s1_eval.errors import UserError
from s1_eval.training.nano import prm
from s1_eval.training.nano.prm import Example, auc, card, labels, load, measure, row
from s1_eval.training.nano.problems import Problem
from s1_eval.training.nano.tokenizer import build
from s1_eval.training.recipe import Training
from s1_eval.verifiers.formats import NanoPRM

PROBLEM = Problem(47, ((("*", 8),), (("+", 5),), (("*", 7), ("*", 6))))
RECIPE = Path(__file__).parents[2] / "training" / "recipes" / "nano_prm.yaml"


def marked(*lines: str, answered: bool = False) -> list[bool]:
    return list(labels(PROBLEM, lines, answered))


def test_a_line_is_right_if_its_value_is_the_true_one():
    assert marked("S=47", "A*8=76", "B+5=81", "C*7*6=02") == [True] * 4
    assert marked("S=47", "A*8=75", "B+5=80", "C*7*6=60") == [True, False, False, False]


def test_a_line_without_a_value_is_as_right_as_the_one_before():
    assert marked("Wait, let me check.", "S=47") == [True, True]
    assert marked("A*8=75", "Wait, let me check.", "S=47") == [False, False, True]


def test_a_check_that_finds_the_error_is_right_again():
    lines = ("A*8=76", "B+5=81", "C*7*6=24", "Wait, let me check.", "S=47")
    checks = ("A*8=76 was 76 ok", "B+5=81 was 81 ok", "C*7=67*6=02 was 24 fix", "C*7*6=02")
    assert marked(*lines, *checks) == [True, True, False, False, True, True, True, True, True]


@pytest.mark.parametrize(
    ("answer", "right"), [("Final Answer: 02", True), ("2", True), ("24", False)]
)
def test_the_answer_is_right_if_it_is_the_target(answer, right):
    assert marked("S=47", answer, answered=True) == [True, right]


def test_a_row_is_what_the_verifier_reads_with_labels_where_it_scores():
    tokenizer = build()
    layout = NanoPRM(tokenizer)
    steps = ("S=47", "A*8=75", "Final Answer: 02")
    made = row(Example(PROBLEM, steps, (True, False, True)), layout)
    found = layout.lay_out(PROBLEM.question, steps)
    assert made["input_ids"] == list(found.ids)
    assert [made["labels"][end - 1] for end in found.ends] == [1, 0, 1]
    assert sum(label >= 0 for label in made["labels"]) == 3
    assert tokenizer.decode(made["input_ids"]).endswith(
        "<|im_start|>assistant\n<|im_start|>think\nS=47\nA*8=75\nFinal Answer: 02\n"
    )


def test_the_area_under_the_curve_counts_ties_half():
    assert auc([(True, 0.9), (False, 0.1)]) == 1.0
    assert auc([(True, 0.1), (False, 0.9)]) == 0.0
    assert auc([(True, 0.5), (False, 0.5)]) == 0.5
    assert auc([(True, 0.5), (False, 0.5), (False, 0.4)]) == 0.75
    assert auc([(True, 0.5)]) != auc([(True, 0.5)])


def test_answers_are_measured_apart_from_steps():
    examples = [Example(PROBLEM, ("a", "b"), (True, False)), Example(PROBLEM, ("a",), (True,))]
    found = measure(examples, [(0.9, 0.2), (0.4,)])
    assert found["steps_right"] == pytest.approx(2 / 3)
    assert found["steps_accuracy"] == pytest.approx(2 / 3)
    assert found["answers_right"] == 0.5
    assert found["answers_auc"] == 1.0


def test_the_shipped_recipe_is_one():
    recipe = load(RECIPE)
    assert (recipe.traces.policy, recipe.output) == ("nano", "s1_eval/nano_prm")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("problems: 4000", "problems: 0"), "traces.problems=0"),
        (("policy: nano", "polcy: nano"), "did you mean 'policy'"),
        (("samples: 2", "samples: 2\n  cut_share: 3.0"), "a share from 0 to 1"),
        (("traces:", "trace:"), "did you mean 'traces'"),
    ],
)
def test_a_recipe_that_is_none_is_refused(tmp_path, change, says):
    changed = tmp_path / "recipe.yaml"
    changed.write_text(RECIPE.read_text().replace(*change))
    with pytest.raises(UserError, match=says):
        load(changed)


def test_the_card_shows_what_was_measured():
    kinds = [
        f"{name}_{what}" for name in ("steps", "answers") for what in ("right", "accuracy", "auc")
    ]
    log = {
        "parameters": 907138,
        "traces": 8000,
        "steps": 99000,
        "held_out": {kind: 0.1 * i for i, kind in enumerate(kinds)},
    }
    assert "| steps | 0.000 | 0.100 | 0.200 |" in card(log)
    assert "907,138 parameters" in card(log)


@pytest.mark.slow
def test_a_verifier_learns_from_the_policys_traces(tmp_path, monkeypatch):
    monkeypatch.setattr(prm, "HELD_OUT", 4)
    monkeypatch.setattr(prm, "LONGEST", 64)
    training = Training(
        1e-3, tokens_per_batch=256, epochs=3, max_steps=3, logging_steps=1, bf16=False
    )
    recipe = prm.Recipe(prm.Traces("nano", problems=8, samples=1), training)
    prm.run(recipe, tmp_path / "prm")
    log = json.loads((tmp_path / "prm" / "training.json").read_text())
    assert [entry["step"] for entry in log["losses"]] == [1, 2, 3]
    assert log["traces"] == 8
    assert 0 <= log["held_out"]["steps_accuracy"] <= 1
    assert {path.name for path in tmp_path.iterdir()} == {"prm"}
