"""Nano's measured behaviour, with the project's own engine, methods and grader: what its model
card shows. Running experiments is the command line's and the harnesses' business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s1_eval.answers import grader
from s1_eval.engines import Sampling
from s1_eval.engines.table import open_engine
from s1_eval.methods import Policy, Question, method, settings
from s1_eval.training.nano.problems import held_out

CAPS = (16, 32, 48, 64, 96)
WAITS = (0, 1, 2, 4)
SAMPLES = 8
TOKENS = (32, 64, 128, 256)
STEPS = (2, 4, 8, 16)
GRADER = grader("integer", minimum=0, maximum=99)


@dataclass(frozen=True, slots=True)
class Run:
    """One method with one setting over all problems, in their order."""

    method: str
    params: Mapping[str, Any]
    correct: tuple[bool, ...]
    answers: tuple[str, ...]
    thinking: tuple[int, ...]

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * sum(self.correct) / len(self.correct)

    @property
    def mean_thinking(self) -> float:
        """In tokens."""
        return sum(self.thinking) / len(self.thinking)


def measure(model: str, n: int) -> dict[str, list[Run]]:
    """All runs of the card on the first `n` held-out problems, by series."""
    engine = open_engine("s1_hf", model)
    try:
        greedy = Policy.bind(engine)
        warm = Policy.bind(engine, sampling=Sampling(temperature=1.0, seed=0))

        def run(policy: Policy, name: str, **params: Any) -> Run:
            return asyncio.run(_run(policy, n, name, params))

        force = "budget_forcing"
        return {
            "plain": [run(greedy, "plain")],
            "caps": [run(greedy, force, max_thinking_tokens=cap) for cap in CAPS],
            "waits": [run(greedy, force, num_ignores=waits) for waits in WAITS],
            "samples": [run(warm.fork(i), "plain") for i in range(SAMPLES)],
            "tokens": [run(greedy, "token_conditional", tokens=t) for t in TOKENS],
            "steps": [run(greedy, "step_conditional", steps=s) for s in STEPS],
            "length": [run(greedy, "class_conditional", length=k) for k in ("short", "long")],
        }
    finally:
        engine.close()


async def _run(policy: Policy, n: int, name: str, params: Mapping[str, Any]) -> Run:
    chosen, checked = method(name), settings(name, params)
    problems = held_out(n)
    outcomes = await asyncio.gather(
        *(
            chosen.run(policy.fork(p.id), Question(p.id, p.question, GRADER), checked)
            for p in problems
        )
    )
    verdicts = [
        GRADER.grade(outcome.answer, problem.target)
        for outcome, problem in zip(outcomes, problems, strict=True)
    ]
    return Run(
        name,
        params,
        correct=tuple(verdict.correct for verdict in verdicts),
        answers=tuple(verdict.answer for verdict in verdicts),
        thinking=tuple(outcome.thinking_tokens for outcome in outcomes),
    )
