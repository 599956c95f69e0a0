"""What the vLLM benchmarks share: held-out questions of nano, vLLM's own `LLM` beside our engine in
one process, and timing in turns. The contenders stand in `rounds.py`, `sweep.py`, `overhead.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from s1_eval.answers import grader
from s1_eval.engines.vllm import VLLMEngine
from s1_eval.methods import Policy, Question
from s1_eval.methods.chain import BudgetForcing, force
from s1_eval.thinking import Trace
from s1_eval.training.nano.problems import held_out

CONTEXT = 1024
SEQUENCES = 256


@dataclass(frozen=True)
class Bench:
    """Our engine with its policy, the prompts, and vLLM's `LLM` of the same model and settings."""

    policy: Policy
    prompts: list[tuple[int, ...]]
    llm: Any
    repeats: int

    def forced(self, params: BudgetForcing, policy: Policy | None = None) -> list[Trace]:
        """Budget forcing of every question at once, through our stack."""
        chosen = policy or self.policy

        async def all_at_once() -> list[Trace]:
            return await asyncio.gather(*(force(chosen, p, params) for p in self.prompts))

        return asyncio.run(all_at_once())

    def generate(
        self, prompts: Sequence[Sequence[int]], params: Sequence[dict[str, Any]]
    ) -> list[tuple[int, ...]]:
        """One call of `LLM.generate`: greedy, ended only by its `stop_token_ids` and lengths."""
        from vllm import SamplingParams

        common = {"temperature": 0.0, "ignore_eos": True, "detokenize": False}
        outputs = self.llm.generate(
            [{"prompt_token_ids": list(prompt)} for prompt in prompts],
            [SamplingParams(**common, **each) for each in params],
            use_tqdm=False,
        )
        return [tuple(output.outputs[0].token_ids) for output in outputs]

    def in_turns(self, *contenders: Callable[[], Any]) -> list[float]:
        """See `in_turns`."""
        return in_turns(self.repeats, *contenders)


def in_turns(repeats: int, *contenders: Callable[[], Any]) -> list[float]:
    """Seconds of each, measured in turns after one warm-up. The fastest turn counts: whatever else
    the machine does only adds to it."""
    seconds: list[list[float]] = [[] for _ in contenders]
    for turn in range(repeats + 1):
        for times, contender in zip(seconds, contenders, strict=True):
            began = time.perf_counter()
            contender()
            if turn:
                times.append(time.perf_counter() - began)
    return [min(times) for times in seconds]


def start(description: str | None, questions: int = 256, **theirs: Any) -> Bench:
    """Read the command line, load both engines, and print the machine. questions: unless the
    command line says another number. theirs: settings of vLLM's `LLM` alone."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--model", default="nano", help="nano, a folder, or a name on the Hub")
    parser.add_argument("--questions", type=int, default=questions)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # both alike
    engine = VLLMEngine(args.model, dtype="float32", max_model_len=CONTEXT, max_num_seqs=SEQUENCES)
    from vllm import LLM

    from s1_eval.engines.models import resolve_model

    llm = LLM(
        resolve_model(args.model),
        dtype="float32",
        max_model_len=CONTEXT,
        max_num_seqs=SEQUENCES,
        enforce_eager=True,
        block_size=32,
        enable_prefix_caching=True,
        disable_log_stats=True,
        **theirs,
    )
    policy = Policy.bind(engine)
    asked = [
        Question(str(n), p.question, grader("integer"))
        for n, p in enumerate(held_out(args.questions))
    ]
    versions = ", ".join(f"{name} {version}" for name, version in engine.info.versions.items())
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs; {versions}")
    load = os.getloadavg()[0]
    print(f"{args.questions} questions, fastest of {args.repeats}; load at the start {load:.1f}")
    return Bench(policy, [policy.prompt_ids(question) for question in asked], llm, args.repeats)
