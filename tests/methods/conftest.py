"""What the methods' tests share: a question over the scripted engine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted import ScriptedEngine

from s1_eval.answers import grader
from s1_eval.methods import METHODS, Policy, Question, settings
from s1_eval.thinking import Outcome
from s1_eval.typed import flat
from s1_eval.verifiers import Verifier


@pytest.fixture(scope="session")
def solve():
    """Run a method of the table on one question over a scripted engine."""

    def run(
        engine: ScriptedEngine,
        name: str,
        temperature: float = 0.0,
        verifier: Verifier | None = None,
        **params: Any,
    ) -> Outcome:
        from s1_eval.engines import Sampling

        chosen = settings(name, params)
        policy = Policy.bind(
            engine,
            flat(chosen)["thinking_format"],
            Sampling(temperature=temperature, seed=7),
            flat(chosen).get("until_thinking", ()),
            verifier,
        )
        question = Question("q1", "What is 2 + 2?", grader("integer"))
        return asyncio.run(METHODS[name].run(policy, question, chosen))

    return run
