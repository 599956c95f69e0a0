"""The gate calls a run worse only where it is, beyond what is tolerated, and beyond what luck
explains; it refuses to compare what is not comparable."""

import pytest
import runs

from s1_eval.errors import UserError
from s1_eval.metrics.gate import Tolerance, check
from s1_eval.report.regressions import markdown


def run(correct, thinking=100, *, side="old", **more):
    """A run of budget forcing; the weights tell the sides apart."""
    return runs.run(correct, thinking, weights_fingerprint=side, **more)


def accuracy(comparisons):
    return next(c for c in comparisons if c.metric == "accuracy")


def tokens(comparisons):
    return next(c for c in comparisons if c.metric == "thinking_tokens")


def test_equal_answers_are_no_regression():
    found = check([run(runs.graded(60, 100), side="new")], [run(runs.graded(60, 100))])
    assert [(c.metric, c.change, c.p_holm, c.regression) for c in found] == [
        ("accuracy", 0, 1, False),
        ("thinking_tokens", 0, 1, False),
    ]


def test_a_clear_drop_is_a_regression_with_mcnemars_p():
    found = accuracy(check([run(runs.graded(50, 100), side="new")], [run(runs.graded(60, 100))]))
    assert (found.test, found.change, found.regression) == ("McNemar, exact", -10, True)
    assert found.p == pytest.approx(0.5**10)  # ten lost, none gained
    assert found.p_holm == pytest.approx(2 * 0.5**10)  # the smaller of two p-values


def test_a_gain_is_no_regression():
    found = accuracy(check([run(runs.graded(60, 100), side="new")], [run(runs.graded(50, 100))]))
    assert (found.change, found.regression) == (10, False)


def test_a_drop_within_what_is_tolerated_is_no_regression():
    sides = [run(runs.graded(50, 100), side="new")], [run(runs.graded(60, 100))]
    assert not accuracy(check(*sides, Tolerance(max_drop=10))).regression
    assert accuracy(check(*sides, Tolerance(max_drop=9.9))).regression


def test_many_comparisons_raise_the_bar():
    def side(name, worse):
        return [
            run(runs.graded(worse if i == 0 else 60, 100), side=name, params={"num_ignores": i})
            for i in range(10)
        ]

    alone = check(side("new", 54)[:1], side("old", 60)[:1])
    among_ten = check(side("new", 54), side("old", 60))
    assert alone[0].p == among_ten[0].p == pytest.approx(0.5**6)
    assert alone[0].regression
    assert not among_ten[0].regression


def test_epochs_of_a_question_are_one_observation():
    """Ten epochs that all say the same carry the evidence of one."""
    old = [[True] * 10] * 5 + [[False] * 10] * 5
    new = [[False] * 10] * 2 + old[2:]
    found = accuracy(check([run(new, side="new")], [run(old)]))
    assert (found.test, found.change) == ("sign-flip permutation", -20)
    assert found.p == pytest.approx(0.25)  # two questions, each worse by the flip of a coin


def test_more_thinking_is_a_regression():
    before = list(range(75, 125))
    found = tokens(
        check(
            [run(runs.graded(30, 50), [t * 3 // 2 for t in before], side="new")],
            [run(runs.graded(30, 50), before)],
        )
    )
    assert found.regression
    assert found.low < found.change < found.high


def test_a_rise_that_one_question_alone_makes_is_not_significant():
    found = tokens(
        check(
            [run(runs.graded(30, 50), [5000] + [100] * 49, side="new")],
            [run(runs.graded(30, 50), 100)],
        )
    )
    assert found.change == pytest.approx(98)
    assert not found.regression


def test_a_run_that_did_not_think_has_no_change_of_thinking_tokens():
    found = tokens(check([run([True] * 9, 5, side="new")], [run([True] * 9, 0)]))
    assert (found.change, found.detectable, found.regression) == (None, None, False)


def test_detectable_is_smaller_with_more_questions_and_above_what_is_tolerated():
    def detectable(n, **tolerance):
        old, new = runs.graded(n // 2, n), [*runs.graded(n // 2, n)]
        new[0], new[-1] = False, True  # a little churn
        sides = [run(new, side="new")], [run(old)]
        return accuracy(check(*sides, Tolerance(**tolerance))).detectable

    assert detectable(400) < detectable(60)
    assert detectable(400, max_drop=5) > 5


def test_too_few_questions_detect_nothing_and_say_so():
    found = accuracy(check([run([True] * 4, side="new")], [run([True] * 4)]))
    assert found.detectable is None


def many(right, thinking, side):
    return [
        run(runs.graded(right, 30), thinking, side=side, params={"num_ignores": i})
        for i in range(60)
    ]


def test_a_plain_change_is_found_in_every_one_of_sixty_runs():
    before = [100 + i for i in range(30)]
    found = check(many(9, [3 * t for t in before], "new"), many(27, before, "old"), resamples=10)
    assert len(found) == 120
    assert all(c.regression for c in found)


def test_what_so_few_questions_can_never_show_is_not_called_detectable():
    """Ten questions give no p below 2^-10, and 120 comparisons ask for 0.05 / 120."""
    before = [100 + i for i in range(10)]

    def side(name, factor, runs_):
        thinking = [factor * t for t in before]
        return [
            run([True, False] * 5, thinking, side=name, params={"num_ignores": i})
            for i in range(runs_)
        ]

    among_many = check(side("new", 3, 60), side("old", 1, 60), resamples=50)
    assert {(c.regression, c.detectable) for c in among_many} == {(False, None)}
    among_few = check(side("new", 3, 10), side("old", 1, 10), resamples=50)
    assert all(c.regression for c in among_few if c.metric == "thinking_tokens")
    assert all(0 < tokens([c]).detectable < 200 for c in among_few if c.metric != "accuracy")


def test_the_interval_of_a_change_has_a_width_and_says_how_it_was_made():
    found = check([run(runs.graded(60, 60), side="new")], [run(runs.graded(60, 60))])
    assert accuracy(found).low < 0 < accuracy(found).high
    assert accuracy(found).interval == "Tango score"
    assert tokens(found).low is None
    assert "no interval" in tokens(found).interval
    assert "every question has the same value" in markdown(found, Tolerance(), [])


def test_missing_rows_are_counted_on_each_side():
    whole = run([[True, False]] * 9, side="new")
    old = run([[True, False]] * 9)
    found = accuracy(
        check([whole], [type(old)(old.record, old.rows[:-2], None)], allow=["questions"])
    )
    assert (found.baseline_missing, found.missing) == (0, 0)  # a whole question: other questions
    found = accuracy(check([whole], [type(old)(old.record, old.rows[:-1], None)]))
    assert (found.baseline_missing, found.missing) == (1, 0)
    assert "1 rows of the baseline" in markdown([found], Tolerance(), [])


def test_models_may_have_other_names_if_there_is_one_on_each_side():
    found = check(
        [run([True] * 5, model="step-200", side="new")], [run([True] * 5, model="step-100")]
    )
    assert {(c.baseline_model, c.model) for c in found} == {("step-100", "step-200")}
    assert found[0].differs["weights_fingerprint"] == ("old", "new")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"dataset": {"id": "toy", "revision": "2", "fingerprint": "f"}}, "data"),
        ({"grader": {"name": "math"}}, "checker"),
    ],
)
def test_another_data_revision_or_checker_is_refused_unless_allowed(change, what):
    sides = [run([True] * 5, side="new", **change)], [run([True] * 5)]
    with pytest.raises(UserError, match=f"add --allow-different {what}"):
        check(*sides)
    assert len(check(*sides, allow={what})) == 2


def test_other_questions_are_refused_or_compared_on_the_common_ones():
    sides = [run([True] * 5, side="new")], [run([True] * 8)]
    with pytest.raises(UserError, match=r"baseline 8, new 5, 5 in common.*--allow-different"):
        check(*sides)
    assert accuracy(check(*sides, allow={"questions"})).questions == 5


def test_a_baseline_run_without_a_partner_is_refused_or_left_out():
    old = [run([True] * 5, params={"num_ignores": i}) for i in (0, 1)]
    new = [run([True] * 5, params={"num_ignores": 0}, side="new")]
    with pytest.raises(UserError, match=r"no new run for 1 of 2.*num_ignores=1"):
        check(new, old)
    assert len(check(new, old, allow={"runs"})) == 2


def test_nothing_in_common_is_refused_whatever_is_allowed():
    with pytest.raises(UserError, match="no new run for 1 of 1"):
        check([run([True], method="plain", side="new")], [run([True])], allow={"runs"})


def test_two_runs_with_the_same_settings_are_refused():
    with pytest.raises(UserError, match="have the same task, method and settings"):
        check([run([True], side="a"), run([True], side="b")], [run([True])])


@pytest.mark.parametrize("bad", [{"alpha": 0}, {"max_drop": -1}, {"max_rise": float("nan")}])
def test_a_tolerance_that_makes_no_sense_is_refused(bad):
    with pytest.raises(UserError):
        Tolerance(**bad)
