"""What a sweep would cost and could show, before it is run."""

import dataclasses
import math

import numpy as np
import pytest
import runs
from scipy.stats import ttest_1samp

from s1_eval.errors import UserError
from s1_eval.metrics.paired import POWER, detectable_by_mcnemar
from s1_eval.metrics.planning import Asked, Assumed, Noise, detectable, plan
from s1_eval.metrics.prices import Price, Prices
from s1_eval.report.planning import markdown, said


def asked(method="budget_forcing", greedy=True, single=True, **settings):
    dials = {n: settings.get(n) for n in ("max_thinking_tokens", "num_ignores", "samples")}
    return Asked(f"{method} {settings}", method, settings, dials, greedy, single)


def caps(*numbers, **more):
    return [asked(max_thinking_tokens=cap, **more) for cap in numbers]


def spending(run, **fields):
    rows = [{**row, **fields} for row in run.rows]
    return dataclasses.replace(run, rows=rows)


def capped(cap, thinking, **fields):
    made = runs.run(runs.graded(10, 20), thinking, params={"max_thinking_tokens": cap})
    return spending(made, **fields)


ASSUMED = Assumed(accuracy=50, thinking_tokens=1000, answer_tokens=50, tokens_per_second=100)


def test_a_pilots_run_tells_of_the_same_run():
    pilot = [
        capped(64, 60, flops=100, machine_seconds=2.0),
        capped(32, 32, flops=50, machine_seconds=1.0),
    ]
    found = plan(caps(64), 300, 2, pilot)
    [run] = found["runs"]
    assert run["source"] == "pilot"
    assert run["total"]["thinking_tokens"] == 600 * 60
    assert run["total"]["flops"] == 600 * 100
    rate = (60 + 2 + 32 + 2) / 3.0
    assert found["tokens_per_second"] == pytest.approx(rate)
    assert run["total"]["hours"] == pytest.approx(600 * 62 / rate / 3600)


def test_a_smaller_cap_cuts_what_the_pilot_thought_and_a_larger_one_is_not_known():
    lengths = [10 * i for i in range(1, 21)]
    found = plan(caps(400, 50), 20, 1, [capped(200, lengths, flops=1000)])
    unknown, cut = found["runs"]
    thinking = np.minimum(lengths, 50).mean()
    assert cut["per_question"]["thinking_tokens"] == thinking
    assert cut["per_question"]["generated_tokens"] == thinking + 2
    assert cut["per_question"]["flops"] < 1000
    assert unknown["source"] == "unknown"
    assert "a larger one" in unknown["note"]
    assert found["total"]["thinking_tokens"] is None


def test_independent_samples_cost_each_the_same():
    pilot = [runs.run(runs.graded(5, 10), 30, method="majority_vote", params={"samples": 2})]
    [run] = plan([asked("majority_vote", samples=8)], 10, 1, pilot)["runs"]
    assert run["per_question"]["generated_tokens"] == 4 * 32


def vote(method="majority_vote", **fields):
    params = {"samples": 3, "max_thinking_tokens": 64}
    made = runs.run(runs.graded(5, 10), 90, method=method, params=params)
    return spending(made, sample_thinking_tokens=(10, 20, 60), **fields)


def test_a_smaller_cap_cuts_each_of_several_chains():
    planned = asked("majority_vote", single=False, samples=3, max_thinking_tokens=16)
    [run] = plan([planned], 10, 1, [vote()])["runs"]
    assert run["per_question"]["thinking_tokens"] == 10 + 16 + 16


@pytest.mark.parametrize(
    ("pilot", "settings"),
    [
        (vote("rejection_sampling"), {"samples": 3, "max_thinking_tokens": 16}),
        (vote("beam_search"), {"samples": 6, "max_thinking_tokens": 64}),
        (vote("best_of_n", verifier_tokens=90), {"samples": 3, "max_thinking_tokens": 16}),
    ],
)
def test_chains_that_have_a_part_in_each_other_are_not_cut_or_multiplied(pilot, settings):
    planned = asked(pilot.method, single=False, **settings)
    [run] = plan([planned], 10, 1, [pilot])["runs"]
    assert run["source"] == "unknown"
    assert run["total"]["generated_tokens"] is None


def test_an_accuracys_margin_rests_on_the_correlation_that_is_assumed():
    margins = [
        plan(caps(32, greedy=False), 100, 4, dataclasses.replace(ASSUMED, correlation=tied))
        for tied in (0.0, 1.0)
    ]
    free, tied = (found["shows"]["margin"] for found in margins)
    assert free < tied
    once = plan(caps(32, greedy=False), 100, 1, ASSUMED)["shows"]["margin"]
    assert tied == pytest.approx(once)


def test_any_number_of_questions_is_planned_and_goes_on_where_the_exact_test_ends():
    noise = Noise(0.05, None)
    exact, above = (detectable(n, 1, noise, 0.025) for n in (1 << 14, (1 << 14) + 1))
    assert above == pytest.approx(exact, rel=0.03)
    found = plan(caps(32, 64), 10**12, 1, ASSUMED)["shows"]
    assert 0 < found["detectable"] < 0.1


def test_what_came_from_the_sweeps_cache_took_no_time():
    run = capped(64, 60, machine_seconds=1.0, reused_tokens=31)
    prices = Prices({"*": Price(gpu_hour=3600.0)})
    found = plan(caps(64), 1, 1, [run], prices=prices)
    assert found["tokens_per_second"] == 31
    assert found["runs"][0]["total"]["usd"] == pytest.approx(62 / 31)


def test_assumptions_stand_for_a_pilot():
    prices = Prices({"*": Price(input=1.0, output=10.0)})
    basis = dataclasses.replace(ASSUMED, prompt_tokens=100)
    wanted = [*caps(400), asked("majority_vote", samples=4, greedy=False)]
    found = plan(wanted, 10, 1, basis, prices=prices)
    one, voted = (run["total"] for run in found["runs"])
    assert (one["thinking_tokens"], one["generated_tokens"]) == (4000, 4500)
    assert one["usd"] == pytest.approx(10 * (600 + 450 * 10) / 1e6)
    assert one["hours"] == pytest.approx(4500 / 100 / 3600)
    assert voted["generated_tokens"] == 4 * 10500
    assert found["total"]["generated_tokens"] == 4500 + 42000


@pytest.mark.parametrize(("accuracy", "told"), [(0.6, True), (1, True), (60, False), (0, False)])
def test_an_accuracy_that_may_have_been_meant_as_a_share_is_said_to_be_in_percent(accuracy, told):
    found = plan(caps(32), 30, 1, dataclasses.replace(ASSUMED, accuracy=accuracy))
    assert any("percent" in remark for remark in found["remarks"]) is told


def test_what_is_not_assumed_is_not_known():
    found = plan(caps(400), 10, 1, Assumed(thinking_tokens=10))
    assert found["shows"] is None
    assert found["total"]["hours"] is None
    told = markdown(found, "x")
    assert "accuracy=PERCENT" in told
    assert "tokens_per_second" in told
    searched = dataclasses.replace(caps(400)[0], dials={"rounds": 2})
    assert "rounds" in plan([searched], 10, 1, ASSUMED)["runs"][0]["note"]


def test_what_a_method_with_tries_or_a_verifier_takes_is_not_assumed():
    planned = dataclasses.replace(
        asked("rejection_sampling", single=False, max_thinking_tokens=8), independent=False
    )
    [run] = plan([planned], 10, 1, ASSUMED)["runs"]
    assert run["total"]["generated_tokens"] is None
    assert "rejection_sampling" in run["note"]


def test_thirty_questions_cannot_show_five_points():
    found = plan(caps(100, 200), 30, 1, ASSUMED)["shows"]
    churn = 0.25 * (1 - 1 / 3)
    assert found["detectable"] == detectable_by_mcnemar(30, churn, 0.025, 0.0)
    assert not found["can"]
    assert found["epochs"] is None
    needed = found["questions"]
    assert detectable_by_mcnemar(needed, churn, 0.025, 0.0) <= 5
    assert detectable_by_mcnemar(needed - 1, churn, 0.025, 0.0) > 5
    assert "30 questions can't show 5 points" in said(found, 30, 1)
    assert plan(caps(100, 200), needed, 1, ASSUMED)["shows"]["can"]


def test_more_comparisons_take_more_questions():
    one, many = (plan(caps(*range(1, k)), 30, 1, ASSUMED)["shows"] for k in (3, 7))
    assert (one["comparisons"], many["comparisons"]) == (1, 5)
    assert many["questions"] > one["questions"]


def test_epochs_average_out_what_is_luck_and_nothing_else():
    luck, fixed = Noise(0.2, 0.4), Noise(0.2, 0.0)
    assert detectable(200, 8, luck, 0.025) < detectable(200, 2, luck, 0.025)
    assert detectable(200, 8, fixed, 0.025) == detectable(200, 2, fixed, 0.025)
    greedy, once = (plan(caps(9), 30, epochs, ASSUMED) for epochs in (4, 1))
    assert greedy["shows"]["detectable"] == once["shows"]["detectable"]
    assert plan(caps(9, 10), 300, 1, ASSUMED)["shows"]["epochs"] is None
    assert "greedy" in greedy["remarks"][0]
    sampled = plan(caps(9, 10, greedy=False), 300, 2, ASSUMED)["shows"]
    assert sampled["can"] is False
    enough = plan(caps(9, 10, greedy=False), 300, sampled["epochs"], ASSUMED)["shows"]
    fewer = plan(caps(9, 10, greedy=False), 300, sampled["epochs"] - 1, ASSUMED)["shows"]
    assert (enough["can"], fewer["can"]) == (True, False)


def test_the_power_is_what_it_says():
    """Simulated: 150 questions, 4 tries each, of which a share changes for good."""
    noise, n, tries = Noise(1 / 6, 1 / 3), 150, 4
    share = detectable(n, tries, noise, 0.025) / 100
    random = np.random.default_rng(0)
    found = 0
    for _ in range(600):
        chances = random.random(n)  # the mean of p(1-p) is 1/6
        one, other = (random.binomial(tries, chances) / tries for _ in range(2))
        changed = random.random(n) < share
        found += ttest_1samp(np.where(changed, 1.0, one - other), 0).pvalue < 0.05
    assert found / 600 == pytest.approx(POWER, abs=0.05)


def test_a_pilot_says_how_noisy_its_questions_are():
    right = [[True, False]] * 10 + [[True, True]] * 10
    pilot = [
        runs.run(right, 10, params={"max_thinking_tokens": cap}, sampling={"temperature": 1.0})
        for cap in (10, 20)
    ]
    found = plan(caps(10, 20, greedy=False), 20, 2, pilot)
    # One try is right and the other wrong in a quarter of the pairs of ten of the questions.
    assert found["shows"]["churn"] == pytest.approx(100 * (0.125 * 20 + 1) / 22)
    low, needed, high = (found["shows"][f"questions{end}"] for end in ("_low", "", "_high"))
    assert low < needed < high
    assert found["remarks"] == [
        "hours are not known: give --assume tokens_per_second=N, or a pilot that tells its time"
    ]
    assert "another temperature" in plan(caps(10, 20), 20, 1, pilot)["remarks"][0]


def test_what_greedy_decoding_copied_says_nothing_of_chance():
    right = [[each, each] for each in runs.graded(10, 20)]
    made = runs.run(right, 30, params={"max_thinking_tokens": 64})
    copied = [{**row, **({"copy": True} if row["epoch"] == 2 else {})} for row in made.rows]
    pilot = dataclasses.replace(made, rows=copied)
    once = runs.run(runs.graded(10, 20), 30, params={"max_thinking_tokens": 64})
    planned = [plan(caps(64, greedy=False), 30, 4, [basis]) for basis in (pilot, once)]
    assert planned[0]["shows"] == planned[1]["shows"]


def test_a_pilot_that_asked_once_does_not_know_what_epochs_gain():
    pilot = [capped(64, 60), capped(32, 32)]
    found = plan(caps(64, 32, greedy=False), 20, 4, pilot)
    assert found["shows"]["epochs"] is None
    assert any("--epochs 2" in remark for remark in found["remarks"])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"acuracy": 5}, "did you mean 'accuracy'"),
        ({"accuracy": 120}, "from 0 to 100"),
        ({"accuracy": "half"}, "give a number"),
        ({"thinking_tokens": -1}, "from 0"),
        ({"thinking_tokens": math.inf}, "from 0"),
        ({"correlation": 2}, "from 0 to 1"),
        ({"tokens_per_second": 0}, "above 0"),
        ({}, "needs something"),
    ],
)
def test_an_assumption_that_cannot_be_is_refused(given, says):
    with pytest.raises(UserError, match=says):
        Assumed.of(given)


@pytest.mark.parametrize("wrong", [{"points": 0}, {"alpha": 1}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        plan(caps(9), 30, 1, ASSUMED, **wrong)


def test_a_small_pilot_that_is_always_right_does_not_make_an_accuracy_sure():
    few, many = (
        plan(caps(64), 500, 1, [runs.run(runs.graded(n, n), 30)])["shows"]["margin"]
        for n in (2, 200)
    )
    assert many < 1 < 3 < few
