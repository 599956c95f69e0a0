"""Our checker against Math-Verify, in one run on the same pairs: throughput on two cores, errors
on labelled pairs, and right, false accepts and false rejects on the shapes that users reported and
on many distinct answers.

    python benchmarks/checker.py [--data FOLDER] [--samples 4] [--distinct 100000]
        [--opponent-every 5] [--parts speed,labelled,reported,distinct]

Pairs are as an evaluation has them: a reference solution of MATH-500 or AIME as the response, its
box filled with the right answer as written (60%), in another spelling (15%), with a near miss
(15%) or with another question's answer (10%). Each side extracts, reads and compares, in two
processes or threads; starting them is not counted. "Cold" has seen no pair before, "warm" grades
the same pairs once more, as a second epoch does where answers repeat. The distinct answers are
other spellings and near misses of drawn numbers, fractions, roots, tuples, polynomials and lists,
no two the same text; Math-Verify reads every fifth. FOLDER: see the data's README; by default
S1_EVAL_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests" / "answers"))

from spellings import near_misses, respellings  # noqa: E402

from s1_eval.answers import equivalence, grader, reading  # noqa: E402
from s1_eval.answers.equivalence import Strictness, compare  # noqa: E402
from s1_eval.answers.pool import shared_pool  # noqa: E402

CORES = 2
ROUNDS = 3

Pair = tuple[str, str]
"""(gold, response)"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = os.environ.get("S1_EVAL_DATA") or ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--samples", type=int, default=4, help="responses per question")
    parser.add_argument("--distinct", type=int, default=100_000, help="answers, no two the same")
    parser.add_argument("--opponent-every", type=int, default=5, help="of them are Math-Verify's")
    parser.add_argument("--parts", default="speed,labelled,reported,distinct")
    args = parser.parse_args()
    parts = args.parts.split(",")
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, "
        f"load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, "
        f"math-verify {version('math-verify')}, sympy {version('sympy')}"
    )
    if "speed" in parts:
        measure(realistic(args.data, args.samples))
    for name, pairs in labelled(args.data).items() if "labelled" in parts else ():
        ours = sum(compare(g, a, s).equal is not equal for g, a, equal, s in pairs)
        with math_verify() as pool:
            verdicts = list(pool.map(math_verify_equal, [p[:2] for p in pairs], chunksize=20))
        theirs = sum(v is not p[2] for v, p in zip(verdicts, pairs, strict=True))
        print(f"{name}: {len(pairs)} pairs, errors: ours {ours}, Math-Verify {theirs}")
    if "reported" in parts:
        reported(args.data)
    if "distinct" in parts:
        many(distinct(args.distinct), args.opponent_every)


def many(pairs: Sequence[tuple[str, str, bool]], every: int) -> None:
    """Prints right, false accepts, false rejects and pairs per second over distinct answers."""
    forget()
    with ThreadPoolExecutor(CORES) as threads:
        began = time.perf_counter()
        verdicts = list(threads.map(lambda p: compare(p[0], p[1]).equal, pairs, chunksize=50))
        rate = len(pairs) / (time.perf_counter() - began)
    print(f"distinct answers: {len(pairs)}, ours {tally([p[2] for p in pairs], verdicts)}", end="")
    print(f", {rate:.0f} pairs/s")
    some = pairs[::every]
    with math_verify() as pool:
        began = time.perf_counter()
        verdicts = list(pool.map(math_verify_equal, [p[:2] for p in some], chunksize=20))
        theirs = len(some) / (time.perf_counter() - began)
    labels = [pair[2] for pair in some]
    print(f"  every {every}th: {len(some)}, Math-Verify {tally(labels, verdicts)}", end="")
    print(f", {theirs:.0f} pairs/s; ours {rate / theirs:.1f}x")


def distinct(number: int) -> list[tuple[str, str, bool]]:
    """(gold, answer, equal): spellings and near misses of drawn golds, no two answers the same."""
    chance = random.Random(0)  # noqa: S311

    def n(low: int = 2, high: int = 9999) -> int:
        return chance.randint(low, high)

    shapes: tuple[Callable[[], str], ...] = (
        lambda: str(n() * chance.choice((1, -1))),
        lambda: rf"\frac{{{n(1, 99)}}}{{{n(101, 999)}}}",
        lambda: f"{n(0, 99)}.{n(1, 999)}1",
        lambda: rf"{n(2, 99)}\sqrt{{{chance.choice((2, 3, 5, 6, 7, 10, 11, 13, 14, 15))}}}",
        lambda: f"({n(2, 99)}, {n(101, 999)})",
        lambda: f"{n(2, 30)}x^2+{n(31, 60)}x+{n(61, 99)}",
        lambda: ", ".join(map(str, sorted(chance.sample(range(2, 99), 3)))),
    )
    found: dict[str, tuple[str, str, bool]] = {}
    while len(found) < number:
        gold = chance.choice(shapes)()
        for variants, equal in ((respellings, True), (near_misses, False)):
            for _, text in variants(gold):
                found.setdefault(text, (gold, text, equal))
    return list(found.values())[:number]


def reported(data: Path) -> None:
    """Prints right, false accepts and false rejects of whole responses, by kind of grader.
    Math-Verify reads mathematics; letters and integers are not its task."""
    rows = read_jsonl(data / "graders" / "reported_pairs.jsonl")
    for kind in dict.fromkeys(row["grader"] for row in rows):
        of_kind = [row for row in rows if row["grader"] == kind]
        ours = [
            grader(kind).grade(r["answer"], r["gold"], r.get("options", ())).correct
            for r in of_kind
        ]
        labels = [row["equal"] for row in of_kind]
        print(f"reported pairs, {kind}: {len(of_kind)}, ours {tally(labels, ours)}", end="")
        if kind == "math":
            with math_verify() as pool:
                pairs = [(row["gold"], row["answer"]) for row in of_kind]
                theirs = list(pool.map(math_verify_verdict, pairs, chunksize=20))
            print(f", Math-Verify {tally(labels, theirs)}", end="")
        print()


def tally(labels: Sequence[bool], verdicts: Sequence[bool]) -> str:
    accepts = sum(v and not equal for v, equal in zip(verdicts, labels, strict=True))
    rejects = sum(equal and not v for v, equal in zip(verdicts, labels, strict=True))
    right = len(labels) - accepts - rejects
    return f"{right} right, {accepts} false accepts, {rejects} false rejects"


def realistic(data: Path, samples: int) -> list[Pair]:
    """Model-like responses to MATH-500 and AIME24; the same on every run."""
    chance = random.Random(0)  # noqa: S311
    rows = read_jsonl(data / "benchmarks" / "math500.jsonl")
    rows += read_jsonl(data / "benchmarks" / "aime24.jsonl")
    golds = [str(row["answer"]) for row in rows]
    pairs = []
    for row, gold in zip(rows, golds, strict=True):
        others = [text for _, text in respellings(gold)]
        wrong = [text for _, text in near_misses(gold)] or ["0"]
        for _ in range(samples):
            draw = chance.random()
            if draw < 0.6:
                answer = gold
            elif draw < 0.75:
                answer = chance.choice(others)
            elif draw < 0.9:
                answer = chance.choice(wrong)
            else:
                answer = chance.choice(golds)
            reasoning = row["solution"].partition(r"\boxed")[0]
            pairs.append((gold, rf"{reasoning}$\boxed{{{answer}}}$."))
    chance.shuffle(pairs)
    return pairs


def labelled(data: Path) -> dict[str, list[tuple[str, str, bool, Strictness]]]:
    """(gold, answer, equal, strictness) by where the label comes from."""
    rows = read_jsonl(data / "benchmarks" / "math500.jsonl")
    golds = dict.fromkeys(row["answer"] for row in rows)
    groups = json.loads((data / "graders" / "olympiadbench_scoring_examples.json").read_text())
    usual = Strictness()
    return {
        "respellings": [(g, a, True, usual) for g in golds for _, a in set(respellings(g))],
        "near misses": [(g, a, False, usual) for g in golds for _, a in set(near_misses(g))],
        "OlympiadBench, human labels": [
            (
                group["GT"],
                answer["answer"],
                answer["equal"],
                Strictness(units=True, tolerance=answer.get("precision", ())),
            )
            for group in groups
            for answer in group["Ans"]
        ],
    }


def measure(pairs: Sequence[Pair]) -> None:
    """Prints pairs per second of both sides, median of the rounds, and their ratio."""
    print(f"{len(pairs)} pairs as an evaluation has them, {CORES} cores, {ROUNDS} rounds")
    speeds: dict[str, list[float]] = {"cold": [], "warm": [], "Math-Verify": []}
    for _ in range(ROUNDS):
        forget()
        with ThreadPoolExecutor(CORES) as threads:
            speeds["cold"].append(speed(threads, our_verdict, pairs))
            speeds["warm"].append(speed(threads, our_verdict, pairs))
        with math_verify() as processes:
            speeds["Math-Verify"].append(speed(processes, math_verify_verdict, pairs))
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    for name, median in medians.items():
        ratio = median / medians["Math-Verify"]
        spread = f"{min(speeds[name]):.0f} to {max(speeds[name]):.0f}"
        print(f"  {name:<12} {median:>8.0f} pairs/s ({spread}), {ratio:.1f}x Math-Verify")


def speed(pool: Executor, verdict: Callable[[Pair], bool], pairs: Sequence[Pair]) -> float:
    began = time.perf_counter()
    list(pool.map(verdict, pairs, chunksize=20))
    return len(pairs) / (time.perf_counter() - began)


def forget() -> None:
    """Empties every cache of ours, and starts fresh workers that have parsed one formula."""
    equivalence.decided.cache_clear()
    reading.read.cache_clear()
    pool = shared_pool()
    pool.close()
    with ThreadPoolExecutor(CORES) as threads:
        list(threads.map(lambda n: compare("x + 1", f"1 + x + 0 * {n}"), range(20)))


def our_verdict(pair: Pair) -> bool:
    return grader("math").grade(pair[1], pair[0]).correct


def math_verify() -> ProcessPoolExecutor:
    """Processes that have Math-Verify imported and have parsed one formula."""
    pool = ProcessPoolExecutor(CORES, get_context("spawn"))
    list(pool.map(math_verify_verdict, [("x + 1", r"$\boxed{1 + x}$")] * 20))
    return pool


def math_verify_verdict(pair: Pair) -> bool:
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    return bool(verify(parse(f"${pair[0]}$"), parse(pair[1])))


def math_verify_equal(pair: Pair) -> bool:
    return math_verify_verdict((pair[0], rf"\boxed{{{pair[1]}}}"))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


if __name__ == "__main__":
    main()
