"""Runs are put into series that vary one dial and hold everything else."""

from itertools import product

import runs

from s1_eval.metrics import series


def run(method="budget_forcing", **params):
    changes = {k: params.pop(k) for k in ("seed", "model", "versions", "harness") if k in params}
    cap = params.get("max_thinking_tokens")
    budget = cap if isinstance(cap, int) else None
    return runs.run([True, False], 5, method=method, params=params, budget=budget, **changes)


def shape(found):
    return [
        (one.method, one.varied, dict(one.held), [one.label(r).split("=")[-1] for r in one.runs])
        for one in found
    ]


def test_caps_and_ignores_are_two_series_of_budget_forcing():
    caps = [run(max_thinking_tokens=n) for n in (256, 32, 64)]
    ignores = [run(num_ignores=n) for n in (4, 0, 2)]
    assert shape(series([*caps, *ignores, run("plain")])) == [
        ("plain", None, {}, ["plain"]),
        ("budget_forcing", "max_thinking_tokens", {}, ["32", "64", "256"]),
        ("budget_forcing", "num_ignores", {}, ["0", "2", "4"]),
    ]


def test_a_full_grid_is_one_series_by_cap_per_number_of_ignores():
    grid = [
        run(max_thinking_tokens=cap, num_ignores=n)
        for cap, n in product((None, 64, 128), (0, 1, 2))
    ]
    assert shape(series(grid)) == [
        ("budget_forcing", "max_thinking_tokens", {}, ["64", "128"]),
        ("budget_forcing", "max_thinking_tokens", {"num_ignores": 1}, ["64", "128"]),
        ("budget_forcing", "max_thinking_tokens", {"num_ignores": 2}, ["64", "128"]),
        ("budget_forcing", "num_ignores", {}, ["0", "1", "2"]),
    ]


def test_ignores_at_one_cap_are_one_series():
    found = series([run(max_thinking_tokens=512, num_ignores=n) for n in (0, 1, 2)])
    held = {"max_thinking_tokens": 512}
    assert shape(found) == [("budget_forcing", "num_ignores", held, ["0", "1", "2"])]


def test_two_dials_that_rise_together_are_not_one():
    for method, other in (("budget_forcing", "num_ignores"), ("majority_vote", "samples")):
        found = series([run(method, max_thinking_tokens=64 * n, **{other: n}) for n in (1, 2)])
        assert [len(one.runs) for one in found] == [1, 1]


def test_an_automatic_cap_is_no_cap_and_no_amount():
    found = series(
        [run(max_thinking_tokens=c, num_ignores=n) for c, n in product(("auto", None), (0, 2))]
    )
    assert shape(found) == [
        ("budget_forcing", "num_ignores", {}, ["0", "2"]),
        ("budget_forcing", "num_ignores", {"max_thinking_tokens": "auto"}, ["0", "2"]),
    ]


def test_what_enforces_an_instruction_moves_with_it():
    asked = [run("token_conditional", tokens=n) for n in (64, 128)]
    forced = [run("token_conditional", tokens=n, max_thinking_tokens=n) for n in (64, 128)]
    steps = [run("step_conditional", steps=n, max_thinking_tokens=100 * n) for n in (4, 8)]
    assert shape(series([*asked, *forced, *steps])) == [
        ("step_conditional+bf", "steps", {}, ["4", "8"]),
        ("token_conditional", "tokens", {}, ["64", "128"]),
        ("token_conditional+bf", "tokens", {}, ["64", "128"]),
    ]


def test_a_prompt_may_name_the_cap():
    found = series([run("token_conditional", max_thinking_tokens=n) for n in (64, 128)])
    assert shape(found) == [("token_conditional+bf", "tokens", {}, ["64", "128"])]


def test_samples_at_two_caps_are_two_series():
    found = series(
        [
            run("majority_vote", samples=n, max_thinking_tokens=cap)
            for n, cap in product((1, 8), (64, 128))
        ]
    )
    assert shape(found) == [
        ("majority_vote", "samples", {"max_thinking_tokens": 64}, ["1", "8"]),
        ("majority_vote", "samples", {"max_thinking_tokens": 128}, ["1", "8"]),
    ]


def test_the_default_length_is_a_reference_and_no_member():
    [one] = series([run("class_conditional", length=n) for n in ("long", "default", "short")])
    assert [r.params["length"] for r in one.runs] == ["short", "long"]
    assert one.reference.params["length"] == "default"


def test_ignore_strings_are_told_apart():
    found = series(
        [run(num_ignores=n, ignore_string=s) for n, s in product((1, 2), ("Wait", "Hmm\x1b"))]
    )
    assert [one.held for one in found] == [{"ignore_string": "Hmm\x1b"}, {"ignore_string": "Wait"}]
    assert all(one.name.isprintable() for one in found)


def test_what_is_not_a_dial_is_never_mixed():
    for change in (
        {"seed": 1},
        {"model": "other"},
        {"harness": "lm-eval"},
        {"versions": {"transformers": "6"}},
    ):
        found = series([run(num_ignores=0), run(num_ignores=1, **change)])
        assert len(found) == 2
        assert len({(one.model, one.name) for one in found}) == 2


def test_series_do_not_depend_on_the_order_of_runs():
    some = [run(num_ignores=n) for n in (0, 1)] + [run(max_thinking_tokens=n) for n in (8, 16)]
    assert shape(series(some)) == shape(series(some[::-1]))
