"""Answers made to hang, crash or fill the memory: each is decided or refused within its limit, the
pool is alive afterwards, and the memory is back to where it was."""

import itertools
import time
from pathlib import Path

import pytest

from s1_eval.answers import equivalence, grader
from s1_eval.answers.equivalence import compare
from s1_eval.answers.pool import Pool

GOLDS = ("3", "x^2+1")


def grid(size: int, cell: str) -> str:
    return r"\\".join("&".join(cell for _ in range(size)) for _ in range(size))


HOSTILE = {
    "power tower": "10^{10^{10^{10}}}",
    "small power tower": "2^{3^{4^{5^{6}}}}",
    "power tower with a symbol": "x^{9^{9^{9}}} + 2^{9^{9^{9}}}",
    "factorial": "1000000!",
    "factorial with a symbol": "x + 1000000!",
    "nested factorials": "(((3!)!)!)!",
    "binomial": r"\binom{10^9}{10^8}",
    "100k digits": "1" * 100_000,
    "4k digits": "1" * 3_999,
    "product of 2k digits": "9" * 1_900 + r"\cdot " + "9" * 1_900,
    "root of 3k digits": rf"\sqrt{{{'7' * 3_000}}}",
    "deep parentheses": "(" * 5_000 + "1" + ")" * 5_000,
    "deep braces": "{" * 5_000 + "1" + "}" * 5_000,
    "nested fractions": r"\frac{1}{" * 59 + "x" + "}" * 59,
    "nested roots": r"\sqrt{" * 59 + "x+1" + "}" * 59,
    "continued power": "x" + "^x" * 1_500,
    "unbalanced braces": r"\frac{1}{2",
    "closing braces": "}}}}{{{{",
    "matrix": rf"\begin{{pmatrix}}{grid(30, 'x')}\end{{pmatrix}}",
    "determinant": rf"\begin{{vmatrix}}{grid(30, 'x')}\end{{vmatrix}}",
    "unicode": "٣٫٥ 数学 \U0001f600 \ud800 \u202e\u2028",
    "null bytes": "\x00" * 50 + "x\x00",
    "200k characters": "x+" * 100_000 + "1",
    "long sum": "x+" * 1_900 + "1",
    "long product": "(x+1)" * 700,
    "large power of a sum": "(x+y+z)^{5000}",
    "many signs": "-" * 3_999,
    "long list": ",".join(f"x+{i}" for i in range(400)),
    "set of 39": r"\{" + ",".join(rf"\sin{{{i}}}" for i in range(39)) + r"\}",
    "infinite sum": r"\sum_{i=1}^{10^{10}} \frac{1}{i}",
    "integral": r"\int_0^\infty e^{-x^2} \sin(x^3) \log(x) dx",
    "limit": r"\lim_{x \to 0} \frac{\sin(x^{x^{x}})}{x}",
    "large argument": r"\cos(10^{10^{8}})",
    "golden power": r"\left(\frac{1+\sqrt{5}}{2}\right)^{1000000}",
    "code": '__import__("os").system("exit")',
}


@pytest.fixture(scope="module")
def pool():
    """The limits of this page; the default ones are higher."""
    pool = Pool(1, processor_seconds=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(equivalence, "shared_pool", lambda: pool)
        yield pool
    pool.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_decided_or_refused(pool, name):
    assert compare("x+1", "1 + x + 0").equal
    before = megabytes(pool)
    for gold in GOLDS:
        compared = compare(gold, HOSTILE[name])
        assert not compared.equal
        assert compared.rule
    verdict = grader("math").grade(rf"Thus $\boxed{{{HOSTILE[name]}}}$", "3")
    assert not verdict.correct
    assert not grader("integer").grade(HOSTILE[name], "3").correct
    assert compare("x+1", f"1 + x + 0 * {len(name)}").equal
    assert megabytes(pool) < before + 64


@pytest.mark.slow
def test_hostile_answers_keep_their_limit(pool):
    """Processor time of the worker; the clock also shows what else the machine does."""
    for gold, name in itertools.product(GOLDS, ("golden power", "factorial with a symbol")):
        began = time.monotonic()
        compare(gold, HOSTILE[name])
        assert time.monotonic() - began < pool.seconds + 30


def megabytes(pool: Pool) -> float:
    """Memory that the idle workers hold."""
    pages = (Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in pool.workers())
    return sum(int(count) for count in pages) / 256
