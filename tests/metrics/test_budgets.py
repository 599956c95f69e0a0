"""Rows are joined into chains, and called one chain only where the traces say so."""

import copy

import pytest
from chains import swept

from s1_eval.errors import UserError
from s1_eval.metrics.budgets import Traced, budget_series, chains, one_chain
from s1_eval.records import collect

CAPS = [8, 16, 32]


def grid(made, at="generated_tokens"):
    found = budget_series(made[0])
    [traced] = one_chain(found, made[1])
    return chains(found[0], at, traced)


def test_a_row_is_a_chain_at_a_budget():
    made = grid(swept([["8", "7", "7"], ["", "1", "7"]], CAPS, [12, 99]))
    assert made.labels == ("8", "16", "32")
    assert made.correct.tolist() == [[False, True, True], [False, False, True]]
    assert made.answers.tolist() == [[0, 1, 1], [-1, 0, 1]]
    assert made.ended.tolist() == [[False, True, True], [False, False, False]]
    assert made.thinking.tolist() == [[8, 12, 12], [8, 16, 32]]
    assert made.cost.tolist() == [[10, 14, 14], [10, 18, 34]]
    assert made.probe.tolist() == [[2, 2, 2], [2, 2, 2]]
    assert made.shared is True


def test_thinking_tokens_leave_the_answer_out_but_not_what_is_asked_on_the_way():
    made = grid(swept([["8", "7", "7"]], CAPS), "thinking_tokens")
    assert made.cost.tolist() == [[8, 16, 32]]
    assert made.probe.tolist() == [[2, 2, 2]]


def test_epochs_of_a_question_are_chains_of_their_own():
    made = grid(swept([["8", "7", "7"], ["7", "7", "7"]], CAPS, epochs=2))
    assert (made.ids, made.epochs) == (("q000",), 2)
    assert made.by_question(made.correct.T.astype(float)).tolist() == [[0.5], [1], [1]]


def test_a_copy_that_greedy_decoding_made_is_no_other_epoch_of_its_question():
    made = swept([["8", "7", "7"], ["8", "7", "7"]], CAPS, epochs=2)
    for located in made[1]:
        if located.row["epoch"] == 2:
            located.row["copy"] = True
    found = grid((collect(made[1]), made[1]))
    assert (found.ids, found.epochs, found.shared) == (("q000",), 1, True)


def test_a_row_that_one_budget_lacks_is_left_out_everywhere_and_said():
    runs, _ = swept([["8", "7", "7"]] * 3, CAPS)
    runs[0] = type(runs[0])(runs[0].record, runs[0].rows[1:], runs[0].budget)
    made = chains(budget_series(runs)[0], "generated_tokens", Traced(True))
    assert made.ids == ("q001", "q002")
    assert made.notes == ("1 of 3 chains lack an answer at some budget and are left out",)


def test_runs_without_a_common_question_are_refused():
    runs, _ = swept([["8", "7", "7"]] * 2, CAPS)
    parts = [
        type(run)(run.record, run.rows[slice(i % 2, i % 2 + 1)], run.budget)
        for i, run in enumerate(runs)
    ]
    with pytest.raises(UserError, match="no question in common"):
        chains(budget_series(parts)[0], "generated_tokens", Traced())


@pytest.mark.parametrize(
    "fault", ["another thought", "two traces", "no trace", "goes on", "junk", "huge"]
)
def test_what_is_not_one_chain_is_not_called_one(fault):
    made, rows = swept([["8", "7", "7"]] * 2, CAPS, [12, 99])
    rows = copy.deepcopy(rows)
    row = rows[0].row  # of the smallest cap
    thinking = row["traces"][0]["segments"][1]
    assert thinking["role"] == "thinking"
    if fault == "another thought":
        thinking["ids"][3] += 1
    elif fault == "two traces":
        row["traces"] *= 2
    elif fault == "no trace":
        del row["traces"]
    elif fault == "junk":
        row["traces"] = [{"segments": [{"role": "thinking"}]}]
    elif fault == "huge":
        thinking["ids"][3] = 1 << 40
    else:
        row["exit_reason"] = "natural"  # over at 8, and yet 12 long at 16
        made = collect(rows)
    expected = False if fault in ("another thought", "goes on") else None
    assert grid((made, rows)).shared is expected


def test_rows_that_were_not_read_say_nothing():
    made, rows = swept([["8", "7", "7"]] * 2, CAPS)
    assert one_chain(budget_series(made), rows[:-1])[0].shared is None
    assert one_chain(budget_series(made), []) == [Traced()]


def test_a_prompt_is_as_long_as_its_trace_says_not_as_all_requests_together():
    """The latter grow with the chain, and would tell how long it is."""
    made, rows = swept([["8", "7", "7"]] * 2, CAPS)
    rows = [each._replace(row={**each.row, "prompt_tokens": 999}) for each in rows]
    assert grid((made, rows)).prompt.tolist() == [2, 2]
    assert grid((made, [])).prompt is None


def test_the_run_without_a_cap_is_the_last_budget():
    runs, rows = swept([["8", "7", "7"]] * 2, [8, 32, None])
    [one] = budget_series(runs)
    made = chains(one, "generated_tokens", *one_chain([one], rows))
    assert (made.labels, made.values) == (("8", "32", "none"), (8, 32, None))
    assert made.cost.tolist() == [[10, 34, 35]] * 2
    other, _ = swept([["7"]] * 2, [None], seed=1)
    assert len(budget_series([*runs[:2], *other])[0].runs) == 2
