"""Beam search of many questions at once against one question at a time, on nano with nano-prm.

    python benchmarks/search.py [--engine s1_vllm] [--questions 64] [--samples 16]

The opponent is search-and-learn's scheme: a question is searched to its end before the next one
begins, and its whole batch waits for every step. Both sides have the same engine, the same verifier
and the same seeds, so that only the scheme differs. Where the engine honours a seed per request
(`s1_hf`; vLLM on GPUs) their answers and scores are compared as well.
Goals: at most 0.25 of the opponent's time; verifier batches of at least half of what is in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import s1_eval
from s1_eval.answers import grader
from s1_eval.engines import Sampling
from s1_eval.engines.table import open_engine
from s1_eval.methods import Policy, Question
from s1_eval.methods.beam_search import BeamSearch, beam_search
from s1_eval.thinking import Outcome
from s1_eval.training.nano.problems import held_out
from s1_eval.typed import build
from s1_eval.verifiers.transformers import TransformersVerifier, _Chain, _Tree

SETTINGS = {
    "s1_hf": {},
    "s1_vllm": {"dtype": "float32", "max_model_len": 1024, "max_num_seqs": 256},
}


class Watched(TransformersVerifier):
    """Notes how large each batch is, and how many chains that nothing has read yet wait meanwhile,
    equal ones counted once."""

    def reset(self) -> None:
        """Forget everything that was read."""
        self._tree = _Tree()
        self.batches: list[tuple[int, int]] = []

    def _read(self, chains: list[_Chain]) -> list[_Chain]:
        last = {chain.keys[-1] for chain in chains if chain.keys}
        self._unread = {key for key in last if key not in self._tree}
        return super()._read(chains)

    def _forward(self, batch: Sequence[_Chain]) -> None:
        self.batches.append((len(batch), len(self._unread)))
        super()._forward(batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", choices=SETTINGS, default="s1_vllm")
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    engine = open_engine(args.engine, "nano", **SETTINGS[args.engine])
    verifier = Watched(folder(), "nano_prm")
    given = {"samples": args.samples, "max_thinking_tokens": 512, "max_answer_tokens": 16}
    params = build(BeamSearch, given)
    sampling = Sampling(temperature=1.0, seed=0)
    policy = Policy.bind(engine, sampling=sampling, verifier=verifier)
    questions = [
        Question(problem.id, problem.question, grader("integer"))
        for problem in held_out(args.questions)
    ]

    async def search(question: Question) -> Outcome:
        return await beam_search(policy.fork(question.id), question, params)

    async def at_once(questions: Sequence[Question]) -> list[Outcome]:
        return await asyncio.gather(*(search(question) for question in questions))

    async def one_at_a_time(questions: Sequence[Question]) -> list[Outcome]:
        return [await search(question) for question in questions]

    versions = ", ".join(f"{name} {version}" for name, version in engine.info.versions.items())
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs; {versions}")
    print(
        f"{args.questions} questions, N={args.samples}, median of {args.repeats} turn(s); load "
        f"{os.getloadavg()[0]:.1f}"
    )
    print(
        f"{'':>16}{'seconds':>9}{'tokens':>9}{'verifier tokens':>17}{'batch':>7}{'in flight':>11}"
    )
    found = {}
    for name, scheme in (("one at a time", one_at_a_time), ("at once", at_once)):
        found[name] = measured(name, scheme, questions, verifier, args.repeats)
    (theirs, theirs_seconds), (ours, ours_seconds) = found.values()
    print(f"ratio {ours_seconds / theirs_seconds:.2f}")
    if engine.info.seeding == "request":
        same = sum(
            a.answer == b.answer and close(a.extra["sample_scores"], b.extra["sample_scores"])
            for a, b in zip(theirs, ours, strict=True)
        )
        print(f"same answers and scores: {same} of {len(questions)} questions")
    engine.close()
    verifier.close()


def folder() -> str:
    return str(Path(s1_eval.__file__).parent / "nano_prm")


def measured(
    name: str,
    scheme: Callable[[Sequence[Question]], Coroutine[Any, Any, list[Outcome]]],
    questions: Sequence[Question],
    verifier: Watched,
    repeats: int,
) -> tuple[list[Outcome], float]:
    """Outcomes, and median seconds after a warm-up on a few questions."""
    verifier.reset()
    asyncio.run(scheme(questions[:4]))
    times = []
    for _ in range(repeats):
        verifier.reset()
        began = time.perf_counter()
        outcomes = asyncio.run(scheme(questions))
        times.append(time.perf_counter() - began)
    seconds = statistics.median(times)
    batch, waiting = (statistics.fmean(column) for column in zip(*verifier.batches, strict=True))
    tokens = sum(outcome.generated_tokens for outcome in outcomes)
    read = sum(outcome.verifier_tokens for outcome in outcomes)
    print(f"{name:>16}{seconds:9.2f}{tokens:9}{read:17}{batch:7.1f}{waiting:11.1f}")
    return outcomes, seconds


def close(a: Sequence[float], b: Sequence[float]) -> bool:
    return len(a) == len(b) and all(abs(x - y) < 1e-4 for x, y in zip(a, b, strict=True))


if __name__ == "__main__":
    main()
