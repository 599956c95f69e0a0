"""What runs cost on every axis, and where the front of cost and accuracy lies."""

import dataclasses
import math

import numpy as np
import pytest
import runs

from s1_eval.errors import UserError
from s1_eval.metrics import costs, intervals, score
from s1_eval.metrics.comparison import compare
from s1_eval.metrics.front import fronts
from s1_eval.metrics.points import tally
from s1_eval.metrics.prices import Prices, read_prices
from s1_eval.report.costs import markdown

PRICES = """
models:
  nano: {input: 2, cached: 1, output: 10}
  dear: {gpu_hour: 3.6, gpus: 2}
verifiers:
  "*": {input: 4}
"""


@pytest.fixture
def prices(tmp_path) -> Prices:
    (tmp_path / "prices.yaml").write_text(PRICES)
    return read_prices(tmp_path / "prices.yaml")


def spending(run, **fields):
    """The run with further fields in its rows, one value for all or one each."""
    rows = [
        {**row, **{n: v[i] if isinstance(v, list) else v for n, v in fields.items()}}
        for i, row in enumerate(run.rows)
    ]
    return dataclasses.replace(run, rows=rows)


def waits(right, ignores, thinking, of=40, **fields):
    made = runs.run(runs.graded(right, of), thinking, params={"num_ignores": ignores})
    return spending(made, **fields)


def test_a_run_costs_the_mean_over_questions_of_the_mean_over_epochs():
    run = runs.run([[True, False], [True, True]], [[10, 20], [30, 50]])
    run = spending(run, flops=[100, 300, 500, 700], seconds=[1.0, 3.0, 5.0, 7.0])
    run = spending(run, machine_seconds=[0.5, 1.5, 2.5, 3.5])
    found = costs.costs(run, tally(run))
    assert {name: cost["value"] for name, cost in found.items()} == {
        "thinking_tokens": 27.5,
        "generated_tokens": 27.5 + 2,  # the answer and its stop
        "flops": 400,
        "seconds": 4.0,
    }
    assert found["seconds"]["in_flight"] == 2
    assert found["flops"]["per_correct"]["value"] == pytest.approx(400 / 0.75)
    assert found["flops"]["low"] <= 400 <= found["flops"]["high"]


def test_what_is_not_recorded_is_not_known():
    old = waits(20, 0, 40)
    assert costs.cost(old, tally(old), "flops")["value"] is None
    cached = spending(old, reused_tokens=[0] * 39 + [3])
    found = costs.cost(cached, tally(cached), "seconds")
    assert found["value"] is None
    assert "--no-cache" in found["note"]
    assert costs.load(old) is None
    with pytest.raises(UserError, match="did you mean 'flops'"):
        costs.cost(old, tally(old), "flop")
    for bad in ("9", math.nan, -1, True):
        broken = spending(old, flops=[1] * 39 + [bad])
        with pytest.raises(UserError, match="sample 'q039': flops is"):
            costs.cost(broken, tally(broken), "flops")


def test_dollars_are_of_tokens_sent_cached_and_sampled(prices):
    run = spending(waits(20, 0, 40), prompt_tokens=1000, cached_tokens=600)
    row = run.rows[0]
    assert prices.of(run, row) == pytest.approx(
        (400 * 2 + 600 * 1 + row["generated_tokens"] * 10) / 1e6
    )
    searched = spending(run, verifier_tokens=50)
    read = prices.of(searched, searched.rows[0]) - prices.of(run, row)
    assert read == pytest.approx(200 / 1e6)


def test_dollars_are_of_the_machines_time(prices):
    run = runs.run(runs.graded(2, 4), 10, model="dear")
    run = spending(run, machine_seconds=[1.0, 2.0, 3.0, 4.0])
    found = costs.cost(run, tally(run), "usd", prices)
    assert found["value"] == pytest.approx(2.5 * 3.6 * 2 / 3600)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "how many tokens were sent is not recorded"),
        ({"prompt_tokens": 9, "cached_tokens": None}, "leave `cached` out"),
        ({"model": "other"}, "no price for the model other"),
        ({"model": "dear"}, "machine's time is not recorded"),
        ({"model": "dear", "machine_seconds": 1.0, "reused_tokens": 1}, "--no-cache"),
    ],
)
def test_dollars_that_are_not_known_say_why(prices, fields, says):
    model = fields.pop("model", "nano")
    run = spending(runs.run(runs.graded(2, 4), 10, model=model), **fields)
    found = costs.cost(run, tally(run), "usd", prices)
    assert found["value"] is None
    assert says in found["note"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: [", "is no YAML"),
        ("- 1", "has no `models`"),
        ("models: {a: {input: 1}}", "has no output"),
        ("models: {a: {input: 1, output: -1}}", "output is -1: give a number"),
        ("models: {a: {input: 1, output: .nan}}", "output is nan"),
        ("models: {a: {input: true, output: 1}}", "input is True"),
        ("models: {a: {inputs: 1, output: 1}}", "did you mean 'input'"),
        ("models: {a: {input: 1, output: 1, gpu_hour: 1}}", "tokens or of time"),
        ("models: {a: {gpu_hour: 1, gpus: 0}}", "gpus is 0"),
        ("models: {a: 3}", "models: a is 3"),
        (f"models: {{a: {{input: 1{'0' * 400}, output: 1}}}}", "input is 1000"),
        ("models: {a: {gpu_hour: 1}, a: {gpu_hour: 2}}", "'a' stands there twice"),
        ("models: {[a]: {gpu_hour: 1}}", "is no YAML"),
        ("models: {a: {input: 1e-1, output: 1}}", "input is '1e-1'"),
        ("models: !!python/object/apply:os.getcwd []", "is no YAML"),
        ("models: {}\nverifier: {}", "did you mean 'verifiers'"),
        ("models: {a: {gpu_hour: 1}}\nverifiers: {b: {output: 1}}", "verifiers: b: no price"),
    ],
)
def test_a_file_that_holds_no_prices_is_refused(tmp_path, text, says):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(UserError, match=says.replace("`", ".")):
        read_prices(tmp_path / "p.yaml")


def test_a_missing_file_of_prices_is_named(tmp_path):
    with pytest.raises(UserError, match="no-such"):
        read_prices(tmp_path / "no-such.yaml")


def test_a_correct_answer_costs_the_ratio_of_the_means():
    """Where nothing but the share of right answers differs, its limits are those of that share."""
    right = np.array([1.0] * 60 + [0.0] * 40)
    spent = np.full(100, 7.0)
    found = intervals.fieller(spent, right)
    share = intervals.mean(right)
    assert found.low == pytest.approx(7 / share.high, rel=1e-3)
    assert found.high == pytest.approx(7 / share.low, rel=1e-3)
    scaled = intervals.fieller(1e-9 * spent, right)
    assert scaled.low == pytest.approx(1e-9 * found.low)


def test_a_share_that_may_be_none_gives_no_upper_limit():
    found = costs.per_correct(np.arange(1.0, 11.0), np.array([1.0] + [0.0] * 9))
    assert found["high"] is None
    assert "no upper limit" in found["note"]
    assert costs.per_correct(np.ones(5), np.zeros(5))["value"] is None


def test_of_questions_that_are_all_right_others_may_not_be():
    spent = np.array([4.0, 5.0, 6.0, 5.0, 4.0, 6.0, 5.0, 5.0, 4.5, 5.5])
    found = intervals.fieller(spent, np.ones(10))
    assert found.high == pytest.approx(5 / intervals.wilson(1.0, 10).low)


def test_the_front_is_what_nothing_else_beats_for_as_little():
    members = [
        waits(10, 0, 40, flops=100),
        waits(22, 1, 80, flops=200),
        waits(21, 2, 99, flops=300),
        waits(24, 3, 99, flops=400),
        waits(40, 4, 99),
    ]
    [front] = fronts(members, "flops")
    assert [s["label"].rpartition("=")[2] for s in front["standings"] if s["front"]] == [
        "budget_forcing",
        "1",
        "3",
    ]
    first, second, third, fourth = front["standings"]
    assert (first["against"], first["difference"], first["resolved"]) == (None, None, None)
    assert second["difference"]["value"] == pytest.approx(30)
    assert second["dearer"]["value"] == 100
    assert second["resolved"]
    assert third["against"] == fourth["against"] == second["label"]
    assert not fourth["resolved"]
    assert list(front["unknown"]) == ["budget_forcing, num_ignores=4"]
    said = markdown([front])
    assert "+30.0\\*" in said or "+30.0*" in said
    with pytest.raises(UserError, match="no prices are given"):
        fronts(members, "usd")


def test_times_of_different_loads_are_not_compared():
    alone = waits(10, 0, 40, machine_seconds=0.25)
    busy = waits(22, 1, 80, machine_seconds=2**-6)
    assert (costs.load(alone), costs.load(busy)) == (1, 16)
    with pytest.raises(UserError, match="from 1 to 16 questions in flight"):
        compare([alone], [busy], "seconds")
    [found] = compare([alone], [busy], "seconds", allow=["load"])
    assert found.first_tokens == found.second_tokens == 0.25
    assert "different loads" in fronts([alone, busy], "seconds")[0]["note"]
    with pytest.raises(UserError, match="not recorded of every run"):
        compare([alone], [waits(22, 1, 80)], "seconds")


def test_sides_are_compared_at_equal_flops():
    curve = [waits(10, 0, 40, flops=100), waits(30, 1, 80, flops=400)]
    other = runs.run(runs.graded(15, 40), 50, method="plain")
    [found] = compare(curve, [spending(other, flops=200)], "flops")
    assert found.first_accuracy == pytest.approx(50)
    with pytest.raises(UserError, match="FLOPs are not recorded"):
        compare(curve, [other], "flops")


def test_score_tells_the_costs_of_every_run(prices):
    run = waits(20, 0, 40, flops=100, prompt_tokens=10, cached_tokens=4)
    [entry] = score([run], prices=prices)
    assert list(entry["points"][0]["costs"]) == list(costs.AXES)
    assert entry["points"][0]["costs"]["flops"]["value"] == 100
