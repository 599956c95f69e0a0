"""What a run record says of its method, and what is known of methods whose records say nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import runs

from s1_eval.methods import METHODS, settings
from s1_eval.metrics import score
from s1_eval.records import run_id, validate_run
from s1_eval.records.method_info import method_info
from s1_eval.typed import flat

GIVEN = [
    ("plain", {}),
    ("plain", {"max_tokens": 7}),
    ("budget_forcing", {"max_thinking_tokens": 8, "num_ignores": 2}),
    ("budget_forcing", {"max_thinking_tokens": "auto", "min_thinking_tokens": 3}),
    ("token_conditional", {"tokens": 64, "min_thinking_tokens": 3}),
    ("token_conditional", {"max_thinking_tokens": 64}),
    ("step_conditional", {"steps": 4, "max_thinking_tokens": 400}),
    *(("class_conditional", {"length": length}) for length in ("short", "default", "long", "low")),
    ("class_conditional", {"length": "long", "max_thinking_tokens": 9, "min_thinking_tokens": 2}),
    ("rejection_sampling", {"max_thinking_tokens": 9}),
    ("majority_vote", {"samples": 4, "max_thinking_tokens": 9, "min_thinking_tokens": 3}),
    *((name, {"samples": 4}) for name in ("best_of_n", "beam_search", "dvts", "rebase", "sets")),
    ("self_refine", {"rounds": 2}),
]


def described(name, params, **changes):
    """(the run with its method's description, the same without)"""
    chosen = settings(name, params)
    method = METHODS[name]
    budget = method.budget(chosen).tokens
    made = {"method": name, "params": flat(chosen), "budget": budget, **changes}
    return (
        runs.run([True], 5, method_info=method.describe(chosen), **made),
        runs.run([True], 5, **made),
    )


@pytest.mark.parametrize(("name", "params"), GIVEN)
def test_an_older_record_is_read_as_its_method_describes_itself(name, params):
    told, silent = (method_info(run) for run in described(name, params))
    shown = {dial: value for dial, value in silent.dials.items() if dial in told.dials}
    assert list(shown) == list(told.dials)
    assert not any(value for dial, value in silent.dials.items() if dial not in told.dials)
    assert replace(silent, dials=shown, levels=told.levels) == told
    assert {**silent.levels, **told.levels} == silent.levels


def test_the_description_fits_the_schema_and_is_no_part_of_the_id():
    for name, params in GIVEN:
        told, silent = described(name, params)
        validate_run(told.record)
        assert told.id == silent.id == run_id(told.record)


def test_a_method_that_nobody_knows_by_name_is_scored_by_what_it_says():
    """It asks for a length by words, is held against the run that does not, and is one of many
    samples."""
    said = {
        **METHODS["plain"].describe(settings("plain", {})),
        "asks": "mood",
        "reference": {"mood": "calm"},
        "unforced": False,
        "answer_limit": None,
    }

    def toy(mood, thinking, side=None):
        levels = ["hasty", "calm", "patient"]
        dials = [{"name": "mood", "value": mood, "levels": levels}]
        control = {"side": side} if side else {}
        return runs.run(
            [True, False],
            thinking,
            method="toy",
            params={"mood": mood},
            method_info={**said, "dials": dials, "control": control},
        )

    moods = [toy("patient", 9, "above"), toy("calm", 5), toy("hasty", 3, "below")]
    [found] = score(moods, resamples=20)
    assert (found["method"], found["varied"], found["runs"]) == ("toy", "mood", 2)
    assert [point["value"] for point in found["points"]] == ["hasty", "patient", "calm"]
    assert found["control"]["value"] == 100
    [alone] = score([moods[0], moods[2]], resamples=20)
    assert "needs the unprompted run (mood=calm)" in alone["control"]["note"]
