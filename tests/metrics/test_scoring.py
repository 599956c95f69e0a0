"""The entries of `s1-eval score --json`: their keys, their notes, their intervals."""

import json

import pytest
import runs

from s1_eval.errors import UserError
from s1_eval.metrics import difference, score, scored, series
from s1_eval.records import Located, collect

CAPS = (32, 64, 128, 256)


def by_caps(correct=(4, 9, 15, 20), of=30, **changes):
    return [
        runs.run(
            runs.graded(c, of), cap, params={"max_thinking_tokens": cap}, budget=cap, **changes
        )
        for cap, c in zip(CAPS, correct, strict=True)
    ]


def test_an_entry_has_the_promised_keys_and_is_plain_json():
    [entry] = score(by_caps(), resamples=200)
    promised = {"model", "task", "method", "runs", "control", "scaling", "performance"}
    assert promised <= set(entry)
    assert entry["runs"] == 4
    for metric in ("control", "scaling", "performance"):
        assert {"value", "low", "high", "note"} <= set(entry[metric])
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry


def test_numbers_worked_by_hand():
    # 10, 20, 40, 80% at one doubling each. Pairs: 10, 20, 40 (one doubling), 15, 30 (two), 23.33.
    caps = by_caps((3, 6, 12, 24))
    [entry] = score(caps, resamples=200)
    assert entry["control"]["value"] == 100
    assert entry["scaling"]["value"] == pytest.approx((10 + 20 + 40 + 15 + 30 + 70 / 3) / 6)
    assert entry["performance"]["value"] == 80
    assert entry["mean_thinking_tokens"] == 120


def test_one_budget_has_no_scaling_and_the_entry_says_why():
    [entry] = score(by_caps()[:1], resamples=200)
    assert entry["scaling"]["value"] is None
    assert entry["scaling"]["low"] is None
    assert "one run has no slope" in entry["scaling"]["note"]


def test_the_same_seed_gives_the_same_entries_and_says_so():
    one, again = (score(by_caps(), seed=3, resamples=200) for _ in range(2))
    assert one == again
    assert one[0]["bootstrap"] == {"seed": 3, "resamples": 200, "level": 0.95}
    assert one[0]["scaling"] != score(by_caps(), seed=4, resamples=200)[0]["scaling"]


def test_a_series_is_scored_alike_whatever_is_scored_beside_it():
    [alone] = score(by_caps(), resamples=200)
    beside = score([*by_caps(model="other"), *by_caps()], resamples=200)
    [same] = [entry for entry in beside if entry["model"] == "nano"]
    for metric in ("control", "scaling", "performance"):
        assert [same[metric][key] for key in ("value", "low", "high")] == pytest.approx(
            [alone[metric][key] for key in ("value", "low", "high")]
        )


def test_different_questions_are_refused_unless_told_to_take_the_common_ones():
    short = runs.run(runs.graded(20, 25), 256, params={"max_thinking_tokens": 256}, budget=256)
    mixed = [*by_caps()[:3], short]
    with pytest.raises(UserError, match=r"different questions.*=256: 25.*25 in common"):
        score(mixed, resamples=50)
    [entry] = score(mixed, resamples=50, common_questions=True)
    assert entry["questions"] == 25
    assert entry["performance"]["value"] == 80


def test_a_series_without_common_questions_does_not_block_the_others():
    short = runs.run(runs.graded(20, 25), 256, params={"max_thinking_tokens": 256}, budget=256)
    good = by_caps(model="other")
    every = [*by_caps()[:3], short, *good]
    told = []
    entries = score(every, resamples=50, leave_out=lambda error, runs: told.append((error, runs)))
    assert [entry["model"] for entry in entries] == ["other"]
    assert scored(entries, every) == good
    [(error, left_out)] = told
    assert "different questions" in str(error)
    assert {run.id for run in left_out} == {run.id for run in every[:4]}
    with pytest.raises(UserError, match="nothing is left"):
        score(every[:4], resamples=50, leave_out=lambda error, runs: None)


def test_no_runs_and_no_resamples_are_refused():
    with pytest.raises(UserError, match="no runs"):
        score([])
    with pytest.raises(UserError, match="resamples=0"):
        score(by_caps(), resamples=0)


def test_unanswered_questions_show_beside_accuracy():
    record = runs.record()
    rows = [runs.row(record, f"q{i}", correct=i < 2, answered=i < 4) for i in range(8)]
    [entry] = score(collect(Located(row, "f", "f", record) for row in rows), resamples=50)
    assert entry["unanswered"] == 50
    assert entry["accuracy_answered"] == 50
    assert entry["points"][0]["accuracy"]["value"] == 25
    assert entry["points"][0]["unanswered"] == 50


def test_the_audit_counts_what_is_over_the_limit():
    over = runs.run([True] * 3, [10, 20, 21], params={"max_thinking_tokens": 20}, budget=20)
    [entry] = score([over], resamples=50)
    audit = entry["points"][0]["audit"]
    assert (audit["over_budget"], audit["most_thinking"]) == (1, 21)
    assert audit["exit_reasons"] == {
        "natural": 3,
        "budget": 0,
        "context": 0,
        "eos": 0,
        "early": 0,
        "unknown": 0,
    }


def test_runs_without_a_limit_have_no_control():
    free = [runs.run([True] * 4, n + 5, params={"num_ignores": n}) for n in (0, 1)]
    [entry] = score(free, resamples=50)
    assert entry["control"]["value"] is None
    assert entry["control"]["note"] == "no run has a limit on its thinking tokens"


def test_a_minimum_is_a_limit_too():
    longer = [
        runs.run([True] * 4, n, params={"min_thinking_tokens": n}, budget=None) for n in (5, 9)
    ]
    [entry] = score(longer, resamples=50)
    assert entry["control"]["value"] == 100


def test_class_conditional_without_the_unprompted_run_says_what_is_missing():
    two = [
        runs.run([True] * 4, n, method="class_conditional", params={"length": length})
        for n, length in ((5, "short"), (9, "long"))
    ]
    [entry] = score(two, resamples=50)
    assert entry["control"]["value"] is None
    assert "length=default" in entry["control"]["note"]


def test_the_unprompted_run_alone_is_an_empty_set():
    only = runs.run([True] * 4, 5, method="class_conditional", params={"length": "default"})
    [entry] = score([only], resamples=50)
    assert entry["runs"] == 0
    assert entry["performance"]["value"] is None
    assert [p["reference"] for p in entry["points"]] == [True]


def test_answers_that_never_differ_do_not_make_a_certain_slope():
    [entry] = score(by_caps((30, 30, 30, 30)), resamples=100)
    assert entry["scaling"]["value"] == 0
    assert "too few answers differ" in entry["scaling"]["note"]
    assert entry["performance"]["low"] < 90  # Wilson's, not [100, 100]


def test_one_question_has_values_but_no_intervals():
    one = [
        runs.run([True], cap, params={"max_thinking_tokens": cap}, budget=cap) for cap in (8, 16)
    ]
    [entry] = score(one, resamples=50)
    assert entry["scaling"]["value"] == 0
    assert entry["scaling"]["low"] is None
    assert "no interval" in entry["scaling"]["note"]
    assert entry["performance"]["low"] is entry["points"][0]["accuracy"]["low"] is None
    assert "one question" in entry["points"][0]["accuracy"]["note"]


def test_resamples_without_a_slope_are_counted_in_the_note():
    # Three questions: where all of a resample are the first, the counts are equal.
    three = [
        runs.run(right, lengths, params={"max_thinking_tokens": cap}, budget=cap)
        for cap, right, lengths in (
            (8, [True, False, False], [4, 8, 8]),
            (16, [True, False, True], [4, 16, 12]),
        )
    ]
    [entry] = score(three, resamples=400)
    assert "of the resamples, left out" in entry["scaling"]["note"]


def test_a_run_near_its_limit_is_undecided_and_named():
    even = [24 + i for i in range(16)]  # a mean of 31.5
    found = {}
    for cap in (16, 32, 64):
        [found[cap]] = score(
            [runs.run([True] * 16, even, params={"max_thinking_tokens": cap}, budget=cap)],
            resamples=50,
        )
    spans = {cap: (e["control"]["low"], e["control"]["high"]) for cap, e in found.items()}
    assert spans == {16: (0, 0), 32: (0, 100), 64: (100, 100)}
    assert "too near their limit" in found[32]["control"]["note"]
    assert "too near" not in (found[64]["control"]["note"] or "")


def test_missing_rows_stand_beside_every_figure():
    record = runs.record()
    rows = [runs.row(record, f"q{i:02}", epoch=e) for i in range(20) for e in (1, 2)]
    [entry] = score(located(record, rows[:-1]), resamples=50)
    for metric in ("control", "scaling", "performance"):
        assert "1 of 40 rows are missing" in entry[metric]["note"]


def test_a_long_tail_is_said_beside_the_mean_and_the_median_stands_there():
    [long] = score([runs.run([True] * 30, [100 + i for i in range(29)] + [90_000])], resamples=50)
    tokens = long["points"][0]["thinking_tokens"]
    assert "read the median" in tokens["note"]
    assert tokens["median"]["low"] < tokens["median"]["value"] == 114.5 < tokens["median"]["high"]
    assert "read the median (114.5, 95% 109" in long["remarks"]["thinking_tokens"][0]
    [short] = score([runs.run([True] * 30, [100 + i for i in range(30)])], resamples=50)
    assert short["points"][0]["thinking_tokens"]["note"] is None


def test_equal_token_counts_have_a_note_in_place_of_an_interval():
    [entry] = score([runs.run([True] * 30, 64)], resamples=50)
    tokens = entry["points"][0]["thinking_tokens"]
    assert (tokens["value"], tokens["low"], tokens["high"]) == (64, None, None)
    assert "every question has the same value" in tokens["note"]


def test_difference_of_two_runs_is_paired():
    worse, better = (
        runs.run([i < n for i in range(30)], 10 + n, params={"num_ignores": n}) for n in (10, 20)
    )
    [one], [other] = series([worse]), series([better])
    found = difference(other, one, "performance", resamples=2000)
    assert found["value"] == pytest.approx(100 / 3)
    assert 10 < found["low"] < found["value"] < found["high"] < 60


def test_a_method_does_not_differ_from_itself_and_no_interval_is_of_width_zero():
    [one] = series(by_caps())
    found = difference(one, one, "scaling", resamples=100)
    assert (found["value"], found["low"], found["interval"]) == (0.0, None, None)
    assert found["note"].startswith("no interval")


def test_the_difference_of_two_controls_holds_whatever_both_leave_open():
    even = [24 + i for i in range(16)]  # a mean of 31.5

    def at(cap):
        return series(
            [runs.run([True] * 16, even, params={"max_thinking_tokens": cap}, budget=cap)]
        )[0]

    for cap, limits in ((64, (0, 0)), (32, (0, 100)), (16, (100, 100))):
        found = difference(at(64), at(cap), "control")
        assert (found["low"], found["high"]) == limits


def test_the_difference_to_something_undefined_is_undefined():
    [one], [single] = series(by_caps()), series(by_caps()[:1])
    found = difference(one, single, "scaling", resamples=50)
    assert found["value"] is None
    assert "one run" in found["note"]


def test_methods_without_a_common_question_are_not_compared():
    [one] = series(by_caps())
    record = runs.record()
    [other] = series(collect([Located(runs.row(record, "elsewhere"), "f", "f", record)]))
    with pytest.raises(UserError, match="no question in common"):
        difference(one, other, "performance")


def test_real_waits_lengthen_thinking(shared_data):
    """R1-distill-14B on 800 SimpleQA questions with 0, 2 and 4 forced Waits."""
    found = []
    for waits in (0, 2, 4):
        path = shared_data / "outputs" / "r1-distill-qwen-14b_simpleqa" / f"waits_{waits}.jsonl"
        rows = [json.loads(line) for line in path.read_text().split("\n") if line]
        rows.sort(key=lambda row: row["id"])
        found.append(
            runs.run(
                [row["grading"] == "A" for row in rows],
                [row["thinking_tokens"] for row in rows],
                params={"num_ignores": waits},
            )
        )
    [entry] = score(found, resamples=1000)
    thinking = [point["thinking_tokens"]["value"] for point in entry["points"]]
    assert entry["varied"] == "num_ignores"
    assert thinking == sorted(thinking)
    assert entry["scaling"]["low"] < entry["scaling"]["value"] < entry["scaling"]["high"]
    right = [sum(row["correct"] for row in run.rows) for run in found]
    assert entry["performance"]["value"] == pytest.approx(100 * max(right) / 800)


def located(record, rows):
    return collect(Located(row, "f", "f", record) for row in rows)


def test_missing_epochs_stand_beside_the_figures():
    record = runs.record()
    rows = [runs.row(record, f"q{i:02}", epoch=e) for i in range(20) for e in (1, 2, 3, 4)]
    [entry] = score(located(record, rows[:64]), resamples=50)
    assert "missing" not in (entry["performance"]["note"] or "")
    [entry] = score(located(record, [*rows[:60], *rows[60::4]]), resamples=50)
    assert entry["points"][0]["audit"]["missing"] == 15
    assert "15 of 80 rows are missing ('q15' epoch 2" in entry["performance"]["note"]


def test_unknown_ends_are_counted_and_control_says_so():
    record = runs.record(method_params={"max_thinking_tokens": 9})
    rows = [runs.row(record, f"q{i}", budget=9) for i in range(4)]
    rows[0]["exit_reason"] = "unknown"
    [entry] = score(located(record, rows), resamples=50)
    assert entry["points"][0]["audit"]["exit_reasons"]["unknown"] == 1
    assert "unknown for 1 of 4 samples" in entry["control"]["note"]


def test_a_share_without_an_answer_is_said_in_the_note():
    record = runs.record()
    for unanswered, said in ((1, False), (2, True)):
        rows = [runs.row(record, f"q{i:02}", answered=i >= unanswered) for i in range(20)]
        [entry] = score(located(record, rows), resamples=50)
        assert ("without an answer" in (entry["performance"]["note"] or "")) == said


def test_common_questions_hold_for_every_figure():
    short = runs.run(runs.graded(20, 25), 256, params={"max_thinking_tokens": 256}, budget=256)
    [entry] = score([*by_caps()[:3], short], resamples=50, common_questions=True)
    assert [point["audit"]["samples"] for point in entry["points"]] == [25] * 4
    assert "on the 25 questions that all runs answered" in entry["performance"]["note"]
    assert "max_thinking_tokens=32: 30" in entry["control"]["note"]


def test_one_id_for_two_questions_is_refused_across_runs():
    made = [runs.record(method_params={"num_ignores": n}) for n in (0, 1)]
    rows = [runs.row(record, "q0", thinking=5 + i) for i, record in enumerate(made)]
    rows[1]["target"] = "9"
    both = collect(Located(row, "f", "f", made[i]) for i, row in enumerate(rows))
    with pytest.raises(UserError, match=r"'q0' has the target '7' in num_ignores=0.*'9'"):
        score(both, resamples=50)


def test_a_tokenizer_that_counts_over_the_limit_is_remarked_on():
    record = runs.record(method_params={"max_thinking_tokens": 100})
    for tokens, said in ((101, False), (130, True)):
        rows = [runs.row(record, f"q{i}", budget=100, thinking=tokens) for i in range(4)]
        for row in rows:
            row["recounted"] = True
        [entry] = score(located(record, rows), resamples=50)
        assert ("up to 130% of it: --tokenizer" in (entry["control"]["note"] or "")) == said


def test_verdicts_that_differ_from_the_files_own_are_counted():
    record = runs.record()
    rows = [runs.row(record, f"q{i}") for i in range(4)]
    for row, recorded in zip(rows, (True, False, True, True), strict=True):
        row["recorded_correct"] = recorded
    [entry] = score(located(record, rows), resamples=50)
    assert "1 of 4 verdicts differ from the file's own" in entry["performance"]["note"]
