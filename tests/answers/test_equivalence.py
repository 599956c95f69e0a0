"""What equals a reference answer and what does not."""

import json

import pytest
from spellings import near_misses, respellings

from s1_eval.answers import grader
from s1_eval.answers.equivalence import Strictness, compare
from s1_eval.errors import UserError


@pytest.fixture(scope="module")
def math500(shared_data):
    lines = (shared_data / "benchmarks" / "math500.jsonl").read_text("utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def test_every_reference_solution_is_right_by_its_own_answer(math500):
    math = grader("math")
    assert len(math500) == 500
    for row in math500:
        math.check_target(row["answer"])
    wrong = [r["unique_id"] for r in math500 if not math.grade(r["solution"], r["answer"]).correct]
    assert wrong == []


def _variants(math500, make):
    answers = dict.fromkeys(row["answer"] for row in math500)
    return [(gold, *v) for gold in answers for v in dict.fromkeys(make(gold)) if v[1] != gold]


def test_other_spellings_are_accepted(math500):
    variants = _variants(math500, respellings)
    assert len(variants) >= 1_500
    assert len({kind for _, kind, _ in variants}) >= 20
    refused = [v for v in variants if not compare(v[0], v[2]).equal]
    assert refused == []


def test_near_misses_are_refused(math500):
    variants = _variants(math500, near_misses)
    assert len(variants) >= 1_500
    assert len({kind for _, kind, _ in variants}) >= 10
    accepted = [v for v in variants if compare(v[0], v[2]).equal]
    assert accepted == []


def test_near_misses_are_refused_in_running_text_too(math500):
    math = grader("math")
    for gold, _, wrong in _variants(math500, near_misses)[::7]:
        text = rf"First I thought of ${gold}$, but the answer is $\boxed{{{wrong}}}$."
        assert not math.grade(text, gold).correct, (gold, wrong)


def test_human_labels_of_olympiadbench_are_met(shared_data):
    """They count units, and some name the absolute error that is allowed."""
    groups = json.loads((shared_data / "graders/olympiadbench_scoring_examples.json").read_text())
    pairs = [(group["GT"], answer) for group in groups for answer in group["Ans"]]
    wrong = []
    for gold, answer in pairs:
        strictness = Strictness(units=True, tolerance=answer.get("precision", ()))
        if compare(gold, answer["answer"], strictness).equal is not answer["equal"]:
            wrong.append((gold, answer))
    assert len(pairs) == 36
    assert wrong == []


@pytest.mark.parametrize(
    ("gold", "answer", "setting"),
    [
        (r"90^\circ", "90", "degrees"),
        ("90", r"90^\circ", "degrees"),
        ("10", r"10\%", "percent"),
        (r"10\%", "10", "percent"),
        ("52_8", "52", "base"),
        ("(3,4]", "[3,4]", "brackets"),
    ],
)
def test_strictness_is_a_setting_that_can_be_turned_off(gold, answer, setting):
    assert not compare(gold, answer).equal
    assert compare(gold, answer, Strictness(**{setting: False})).equal


@pytest.mark.parametrize(
    ("gold", "answer", "units", "equal"),
    [
        (r"15\mbox{ cm}^2", "15", False, True),
        (r"15\mbox{ cm}^2", "15", True, False),
        ("15", r"15\text{ cm}", True, False),
        (r"15\mbox{ cm}^2", r"15 \text{ square centimeters}", True, True),
        (r"15\mbox{ cm}^2", r"15 \text{ cm}", False, False),
        (r"15\mbox{ cm}^2", r"15 \text{ m}^2", False, False),
        (r"5.4 \text{ cents}", r"\$5.4", False, False),
        ("12", r"12 \text{ ways}", False, True),
        ("12", r"12 \text{ ways}", True, False),
        ("0.64N", "0.64", False, False),
        ("5", r"5 \text{ or more}", False, False),
        ("5", r"\text{at least } 5", False, False),
        ("5", r"\text{not } 5", False, False),
        ("5", r"\text{The area is } 5", False, True),
    ],
)
def test_units_may_be_left_out_but_not_be_others(gold, answer, units, equal):
    assert compare(gold, answer, Strictness(units=units)).equal is equal


@pytest.mark.parametrize(
    ("gold", "answer", "order", "equal"),
    [
        ("(1,2)", "(2,1)", "tuples", False),
        ("(1,2)", "(2,1)", "none", True),
        ("1,2", "2,1", "tuples", True),
        ("1,2", "2,1", "all", False),
        (r"\{1,2\}", "2, 1", "tuples", True),
        ("(1,2)", "1,2", "tuples", True),
        ("(1,2)", "2,1", "tuples", False),
        ("1,2,3", "3,2,2", "tuples", False),
        (r"\{x, \frac{x}{2}\}", r"\{0.5x, x\}", "tuples", True),
        (r"(x, \frac{x}{2})", "(0.5x, x)", "tuples", False),
        ("(2,1),(3,1)", "(3,1),(2,1)", "tuples", True),
        ("100, 200", "200,100", "tuples", True),
        ("100200", "100,200", "tuples", True),
        ("(2,1),(3,1)", "(1,2),(3,1)", "tuples", False),
    ],
)
def test_tuples_are_ordered_and_sets_and_lists_are_not(gold, answer, order, equal):
    assert compare(gold, answer, Strictness(order=order)).equal is equal


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        (r"(2,\infty)", "x > 2", True),
        (r"(2,\infty)", r"x \ge 2", False),
        (r"x \in [-2,7]", r"-2 \le x \le 7", True),
        (r"x \in [-2,7]", "[-2,7]", True),
        (r"[-2,7]", "7 ≥ x ≥ -2", True),
        (r"(-\infty,2) \cup (3,\infty)", r"x < 2 \text{ or } x > 3", True),
        (r"(-\infty,2) \cup (3,\infty)", r"(3,\infty) \cup (-\infty,2)", True),
        (r"(-\infty,2) \cup (3,\infty)", r"(-\infty,2] \cup (3,\infty)", False),
        (r"(0,9) \cup (9,36)", "(0,36)", False),
        (r"(0,9) \cup (9,36)", r"(0,36) \setminus \{9\}", True),
    ],
)
def test_intervals_are_intervals_in_any_notation(gold, answer, equal):
    assert compare(gold, answer).equal is equal


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("x=5", "5", True),
        ("5", "x=5", True),
        ("x=5", "y=5", False),
        ("y = 2x + 3", "2x+3", True),
        ("y = 2x + 3", "2x - y + 3 = 0", True),
        ("y = 2x + 3", "y = 2x - 3", False),
        ("5x - 7y + 11z + 4 = 0", "-10x + 14y - 22z = 8", True),
        ("5x - 7y + 11z + 4 = 0", "5x - 7y + 11z = 4", False),
        ("x^2+y^2=1", "1", False),
        ("33", "m+n=33", True),
        ("5", "2 + 3 = 5", True),
        (r"\frac{1}{3}", r"x = \frac{1}{3} \approx 0.333", True),
        ("f(x) = x^2", "x^2", True),
        ("1,-2", "x=1 or x=-2", True),
        (r"1 \pm \sqrt{19}", r"1+\sqrt{19}, 1-\sqrt{19}", True),
        (r"1 \pm \sqrt{19}", r"1+\sqrt{19}", False),
    ],
)
def test_equations_and_their_solutions(gold, answer, equal):
    assert compare(gold, answer).equal is equal


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}", True),
        (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{2}}", False),
        (r"\cot x", r"\frac{\cos x}{\sin x}", True),
        (r"\cot x", r"\frac{\sin x}{\cos x}", False),
        ("(a+5)(b+2)", "ab + 2a + 5b + 10", True),
        ("(a+5)(b+2)", "ab + 2a + 5b + 11", False),
        ("6 - 5i", "-5i + 6", True),
        (r"\frac{n!}{k!(n-k)!}", r"\binom{n}{k}", True),
        (r"e^{i\pi}", "-1", True),
        (r"\log_2 8", "3", True),
        ("x", r"\frac{x+x}{2}", True),
        ("x", "x + 0", True),
        ("x", r"x \sin^2 y + x \cos^2 y", True),
        ("7t", "7", False),
        (r"\sqrt{x^2}", "x", False),
        (r"0.\overline{3}", r"\frac{1}{3}", True),
        ("(1+i)^2", "2i", True),
    ],
)
def test_formulas_are_compared_by_sympy_where_values_do_not_tell(gold, answer, equal):
    assert compare(gold, answer).equal is equal


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        (r"\frac{1}{3}", "0.333333", True),
        (r"\frac{1}{3}", "0.333334", False),
        (r"\frac{1}{3}", "0.3333", False),
        (r"\pi", "3.141593", True),
        (r"\pi", "3.141592", False),
        (r"\pi", "3.14", False),
        (".0000672", ".0000673", False),
        (r"\frac{1}{8}", "0.125001", False),
    ],
)
def test_a_rounded_decimal_stands_only_for_what_has_no_finite_one(gold, answer, equal):
    assert compare(gold, answer).equal is equal
    if equal:
        assert not compare(gold, answer, Strictness(decimals=None)).equal


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        (r"\frac{1}{8}", "0.125", True),
        (".0000672", "6.72e-5", True),
        (".0000672", r"6.72 \times 10^{-5}", True),
        ("5000000", r"5 \text{ million}", True),
        ("5", "5 million", False),
        ("10^{2000}", r"\frac{10^{2001}}{10}", True),
        ("3", "10^{4200}", False),
        (r"30^\circ", r"30^\circ + 15^\circ", False),
    ],
)
def test_numbers_are_exact(gold, answer, equal):
    assert compare(gold, answer).equal is equal


def test_a_tolerance_is_absolute_and_inclusive():
    assert compare("0.3", "0.4", Strictness(tolerance="0.1")).equal
    assert not compare("0.3", "0.4001", Strictness(tolerance="0.1")).equal
    assert compare(r"\pi", "3.1", Strictness(tolerance=0.05)).equal
    assert not compare(r"\pi", "3.0", Strictness(tolerance=0.05)).equal
    assert compare("1, 100", "105, 1", Strictness(tolerance=("0", "5"))).equal
    assert not compare("100, 1", "105, 1", Strictness(tolerance=("0", "5"))).equal


def test_names_are_words_and_not_products_of_letters():
    assert compare(r"\text{Navin}", "NAVIN").equal
    assert not compare("Navin", "Nivan").equal
    assert not compare(r"\text{Navin}", r"\text{Nivan}").equal
    assert compare("xyz", "zyx").equal
    assert compare(r"\text{June 20}", "June 20").equal
    assert compare(r"\text{ellipse}", "an ellipse").equal


def test_symmetric_strictness_asks_both_ways():
    one_way = Strictness()
    assert compare("33", "m+n=33", one_way).equal
    assert not compare("m+n=33", "33", one_way).equal
    assert compare("m+n=33", "33", Strictness(symmetric=True)).equal


@pytest.mark.parametrize(
    ("gold", "answer", "rule"),
    [
        ("12", r"\frac{1}{", "the answer can't be read: unbalanced braces"),
        ("12", "", "the answer can't be read: empty"),
        ("12", "1" * 5000, "the answer can't be read: longer than 4000 characters"),
        (
            "x",
            "(" * 61 + "x" + ")" * 61,
            "the answer can't be read: nested more than 60 levels deep",
        ),
        (
            "1",
            r"\begin{cases} 1 \end{cases}",
            "the answer can't be read: cases is no kind of answer",
        ),
        ("12", "10^{10^{10^{10}}}", "not decided: too large to evaluate"),
        ("x+1", r"\sin \cos", "not decided: sympy can't read the answer"),
        (r"\frac{1}{", "12", "the reference can't be read: unbalanced braces"),
    ],
)
def test_what_is_not_decided_is_not_equal_and_says_so(gold, answer, rule):
    compared = compare(gold, answer)
    assert not compared.equal
    assert compared.rule == rule


def test_a_verdict_says_how_both_sides_were_read():
    verdict = grader("math").grade(r"So it is $\boxed{\frac{90}{2}^\circ}$.", r"45^\circ")
    assert verdict.correct
    assert verdict.rule == "boxed: exact numbers"
    assert verdict.gold_read_as == verdict.answer_read_as == "45 degree"
    assert verdict.milliseconds > 0


@pytest.mark.parametrize("target", ["", r"\frac{1}{", "}{", r"\sin \cos", "1" * 5000])
def test_a_target_that_cannot_be_read_is_refused(target):
    with pytest.raises(UserError, match="can't be read"):
        grader("math").check_target(target)


@pytest.mark.parametrize(
    "settings",
    [{"degrees": "no"}, {"order": "some"}, {"decimals": 0}, {"tolerance": "-1"},
     {"tolerance": "much"}, {"tolerance": [None]}, {"case": True}],
)  # fmt: skip
def test_bad_settings_are_refused(settings):
    with pytest.raises(UserError):
        grader("math", **settings)
