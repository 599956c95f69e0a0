"""A whole budget curve for the price of its longest run: the continuation cache on vLLM with nano.

    python benchmarks/sweep.py

Caps 32 to 512 times 0, 1, 2, 4, 6 ignores, started as `s1-eval sweep` starts them: the longest
first, all in flight together. With the cache, without it, and the longest run alone; and what the
cache asks the engine for, in one plain `LLM.generate` whose prompts are in its prefix cache: the
part that is decoding. Goals: at most 1.15 times the longest run, at least 4 times faster than
without.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from side_by_side import Bench, start

from s1_eval.engines import Generation
from s1_eval.engines.cache import CachedEngine
from s1_eval.evaluation.plan import Axes, plan
from s1_eval.methods import Policy
from s1_eval.methods.chain import force

AXES = Axes(
    max_thinking_tokens=(32, 64, 128, 256, 512),
    num_ignores=(0, 1, 2, 4, 6),
    grid=True,
    params={"max_answer_tokens": 16},
)
RUNS = [run.settings for run in plan(["budget_forcing"], AXES)]


def sweep(bench: Bench, policy: Policy | None = None) -> tuple[int, int]:
    """(generated, reused) tokens of all runs."""
    chosen = policy or bench.policy

    async def all_at_once() -> list[tuple[int, int]]:
        traces = await asyncio.gather(
            *(force(chosen, prompt, params) for params in RUNS for prompt in bench.prompts)
        )
        return [(trace.generated_tokens, trace.reused) for trace in traces]

    generated, reused = zip(*asyncio.run(all_at_once()), strict=True)
    return sum(generated), sum(reused)


class Noting:
    """The engine, and what it was asked for: prompts, and how many ids came of each."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.info, self.tokenizer = engine, engine.info, engine.tokenizer
        self.asked: list[tuple[Sequence[int], int]] = []

    async def generate(self, prompt: Sequence[int], **how: Any) -> Generation:
        made: Generation = await self.engine.generate(prompt, **how)
        self.asked.append((prompt, len(made.ids) + len(made.stop_ids)))
        return made


def cached_sweep(bench: Bench, engine: Any = None) -> tuple[int, int]:
    """The same from an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        cached = CachedEngine(engine or bench.policy.engine, folder)
        return sweep(bench, replace(bench.policy, engine=cached))


def main() -> None:
    bench = start(__doc__, 128)
    noting = Noting(bench.policy.engine)
    generated, reused = cached_sweep(bench, noting)
    prompts, lengths = zip(*noting.asked, strict=True)
    limits = [{"max_tokens": length} for length in lengths]
    longest_tokens = sum(t.generated_tokens for t in bench.forced(RUNS[0]))
    longest, with_cache, without, decoding = bench.in_turns(
        lambda: bench.forced(RUNS[0]),
        lambda: cached_sweep(bench),
        lambda: sweep(bench),
        lambda: bench.generate(prompts, limits),
    )
    print(f"longest run     {longest:8.2f} s {longest_tokens:10} tokens")
    print(f"cached sweep    {with_cache:8.2f} s {generated - reused:10} tokens decoded")
    print(f"uncached sweep  {without:8.2f} s {generated:10} tokens decoded")
    print(f"its {len(prompts)} requests in one LLM.generate {decoding:.2f} s")
    print(
        f"cached / longest  {with_cache / longest:.2f}   (goal: at most 1.15; its "
        f"decoding alone {decoding / longest:.2f})"
    )
    print(f"uncached / cached {without / with_cache:.2f}   (goal: at least 4)")


if __name__ == "__main__":
    main()
