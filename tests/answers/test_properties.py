"""What holds for any text whatever."""

import contextlib

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from s1_eval.answers import equivalence, grader
from s1_eval.answers.equivalence import Strictness, compare
from s1_eval.answers.extract import extract, extract_option
from s1_eval.answers.latex import Unreadable
from s1_eval.answers.pool import Pool
from s1_eval.answers.reading import read

SOURCE = r"""
0 1 2 10 1,000 3.5 .5 x y i e \pi \infty + - * / ^ _ = < > \le \ge \in ( ) [ ] { } \{ \}
\frac \sqrt \sqrt[3] \boxed \boxed{ \fbox \text{ \text{cm} \text{and} \mathrm{x} \left \right
\cup \pm \sin \log \binom ! , ; . : $ $$ \( \) \[ \] \% % ^\circ \$ \\ & \begin{pmatrix}
\end{pmatrix} \begin{cases} \cdot \times \over \overline{3} Answer: and or cm degrees base
Evelyn A) (B) ½ √ − ° \, \! ~ | ' ` \approx \setminus \mathbb{R} \to _8
"""
PIECES = st.sampled_from(
    [*SOURCE.split(), " ", "\n", "\x00", "\ud800", "\u2028", "\\", "answer is "]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=25).map("".join))

ATOMS = st.sampled_from(["1", "2", "7", "0.5", "x", "y", r"\pi", r"\sqrt{2}", r"\frac{1}{3}", "i"])
SUMS = st.lists(ATOMS, min_size=1, max_size=3).map(" + ".join)
FORMULAS = st.one_of(
    ATOMS,
    SUMS,
    st.lists(ATOMS, min_size=2, max_size=2).map(r" \cdot ".join),
    st.lists(SUMS, min_size=2, max_size=3).map(lambda items: f"({', '.join(items)})"),
    st.lists(SUMS, min_size=2, max_size=3).map(lambda items: rf"\{{{', '.join(items)}\}}"),
    st.lists(ATOMS, min_size=2, max_size=2).map(" = ".join),
    ATOMS.map(r"{}\text{{ cm}}".format),
    ATOMS.map(r"{}^\circ".format),
    ATOMS.map(r"{}\%".format),
    ATOMS.map("x > {}".format),
)


@pytest.fixture(scope="module", autouse=True)
def quick_pool():
    """Arbitrary formulas may keep sympy busy; one second is enough to say so."""
    pool = Pool(processor_seconds=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(equivalence, "shared_pool", lambda: pool)
        yield
    pool.close()


relaxed = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(TEXTS)
@settings(deadline=None, max_examples=1_000)
@example("x<2 or")
@example("{" * 3000)
def test_extraction_and_reading_raise_nothing_but_unreadable(text):
    found = extract(text)
    assert bool(found.text) == (found.rule != "nothing")
    assert extract_option(text, ("1", "x", "cm", ""), "ABCD").text in ("", *"ABCD")
    for part in (text, found.text):
        with contextlib.suppress(Unreadable):
            assert str(read(part))


@given(TEXTS, TEXTS)
@relaxed
def test_no_grader_raises(answer, target):
    for name in ("math", "integer", "choice"):
        verdict = grader(name).grade(answer, target, ("1", "2", "x", target))
        assert verdict.answered or not verdict.correct


@given(st.one_of(TEXTS, FORMULAS))
@relaxed
def test_an_answer_equals_itself_if_it_can_be_read(text):
    try:
        read(text)
    except Unreadable:
        assume(False)
    assert compare(text, text).equal
    assert compare(text, rf" \,{text} ").equal


@given(FORMULAS, FORMULAS)
@relaxed
@example("33", "x = 33")
@example("x = 1", "y = 1")
@example("(1, 2)", r"\{2, 1\}")
@example("0.333333", r"\frac{1}{3}")
def test_equality_without_a_reference_goes_both_ways(one, other):
    strictness = Strictness(symmetric=True)
    forth, back = compare(one, other, strictness), compare(other, one, strictness)
    assert forth.equal == back.equal


@given(FORMULAS)
@relaxed
def test_whatever_reads_is_a_target_that_can_be_checked(text):
    grader("math").check_target(text)
