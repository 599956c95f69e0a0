"""Votes, best-of-N and beam search of its_hub and optillm against ours, over one vLLM server.

    pip install --no-deps --target PEERS its-hub==1.2.0 optillm==0.4.0
    pip install --target PEERS backoff
    PYTHONPATH=PEERS python benchmarks/peers.py MODEL [--questions 8] [--samples 4]

All sides answer the same MATH-500 questions, all in flight at once, with as many samples of as many
tokens from the same server, and score with the same verifier, nano-prm, in this process. They go
in turns; at temperature 1 each draws its own samples, so tokens are printed beside the seconds.
PEERS is a folder of its own: optillm pins transformers below ours and its other requirements are
gigabytes, so its methods are imported without the server in front of them, which they do not use.

its_hub's beam search can't see that a chain has ended, so all run for as many steps; optillm has no
beam search and no verifier in best-of-N: the model rates each sample, one after the other.
Goal: at most 0.7 of the better one's time. Questions: see the data's README; by default
S1_EVAL_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import logging
import os
import statistics
import sys
import time
import types
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from servers import up, vllm

from s1_eval.answers import grader
from s1_eval.engines import Sampling
from s1_eval.engines.table import open_engine
from s1_eval.methods import Policy, Question, method
from s1_eval.typed import build
from s1_eval.verifiers.table import open_verifier

STEP, STEPS, WIDTH = "\n\n", 4, 2
"""Of beam search: what parts steps, how many, and in how many ways a chain goes on."""

Solve = Callable[[str], Awaitable[Any]]
"""From a question to whatever the side makes of it."""


@dataclass(frozen=True)
class Table:
    """What all sides share. root: of the server. tokens: of a sample; a step of beam search has its
    part of them."""

    root: str
    model: str
    samples: int
    tokens: int
    verifier: Any

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    async def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """The verifier's score of the last step of each text."""
        chains = [[s for s in text.split(STEP) if s.strip()] for text in texts]
        scored = await self.verifier.score(question, chains)
        return [each.scores[-1] if each.scores else 0.0 for each in scored]


def ours(table: Table) -> Mapping[str, Solve]:
    engine = open_engine("s1_api", table.model, base_url=table.url, seeding="engine")
    sampling = Sampling(temperature=1.0)
    policy = Policy.bind(engine, "none", sampling=sampling, verifier=table.verifier)
    given: dict[str, Any] = {"samples": table.samples, "max_answer_tokens": table.tokens}
    scored = given | {"step_separator": STEP, "selection": "vanilla"}
    searched = {"beam_width": WIDTH, "max_steps": STEPS, "max_step_tokens": table.tokens // STEPS}

    def solve(name: str, given: Mapping[str, Any]) -> Solve:
        used = method(name)
        params = build(used.settings, given)

        async def one(text: str) -> Any:
            question = Question(text, text, grader("math"))
            return await used.run(policy.fork(text), question, params)

        return one

    return {
        "vote": solve("majority_vote", given),
        "best of N": solve("best_of_n", scored),
        "beam search": solve("beam_search", scored | searched),
    }


def its_hub(table: Table) -> Mapping[str, Solve]:
    from its_hub.algorithms import BeamSearch, BestOfN, SelfConsistency
    from its_hub.api import AbstractOutcomeRewardModel, AbstractProcessRewardModel
    from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel
    from its_hub.core.lms.step_generation import StepGeneration
    from its_hub.core.orchestrator import LMOrchestrator

    class Outcomes(AbstractOutcomeRewardModel):  # type: ignore[misc]
        def score(self, messages: Any, **_: Any) -> Any:
            raise NotImplementedError

        async def ascore(self, messages: Any, orchestrator: Any = None, **_: Any) -> Any:
            texts = [conversation[-1].content for conversation in messages]
            return await table.score(messages[0][0].content, texts)

    class Steps(AbstractProcessRewardModel):  # type: ignore[misc]
        def score(self, prompt_or_messages: Any, steps: list[str]) -> Any:
            raise NotImplementedError

        async def ascore(self, prompt_or_messages: Any, steps: list[str]) -> Any:
            return await table.score(prompt_or_messages, steps)

    def model(tokens: int) -> Any:
        return OpenAICompatibleLanguageModel(
            table.url, "none", table.model, max_completion_tokens=tokens, temperature=1.0
        )

    everyone = LMOrchestrator(max_concurrency=-1)
    generation = StepGeneration(STEPS - 1, STEP, temperature=1.0)  # it takes one step more
    whole, step = model(table.tokens), model(table.tokens // STEPS)
    searches = {
        "vote": (SelfConsistency(orchestrator=everyone), whole),
        "best of N": (BestOfN(Outcomes(), orchestrator=everyone), whole),
        "beam search": (BeamSearch(generation, Steps(), WIDTH), step),
    }

    def solve(search: Any, lm: Any) -> Solve:
        return lambda question: search.ainfer(lm, question, table.samples)

    return {name: solve(*each) for name, each in searches.items()}


def optillm(table: Table) -> Mapping[str, Solve]:
    package = types.ModuleType("optillm")
    found = importlib.util.find_spec("optillm")
    package.__path__ = list((found and found.submodule_search_locations) or ())
    sys.modules["optillm"] = package
    bon = importlib.import_module("optillm.bon")
    voting = importlib.import_module("optillm.plugins.majority_voting_plugin")
    from openai import OpenAI

    client = OpenAI(base_url=table.url, api_key="none", timeout=600)
    config = {"max_tokens": table.tokens, "k": table.samples, "temperature": 1.0}
    threads = ThreadPoolExecutor(128)

    def solve(call: Callable[[str], Any]) -> Solve:
        async def one(question: str) -> Any:
            return await asyncio.get_running_loop().run_in_executor(threads, call, question)

        return one

    return {
        "vote": solve(lambda asked: voting.run("", asked, client, table.model, config)),
        "best of N": solve(
            lambda asked: bon.best_of_n_sampling(
                "", asked, client, table.model, table.samples, config
            )
        ),
    }


SIDES = {"s1_eval": ours, "its_hub": its_hub, "optillm": optillm}


def generated(root: str) -> int:
    """How many tokens the server has sampled so far."""
    lines = httpx.get(f"{root}/metrics", timeout=30).text.split("\n")
    counts = [line for line in lines if line.startswith("vllm:generation_tokens_total")]
    return int(sum(float(line.split()[-1]) for line in counts))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a folder")
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--log", type=Path, default=Path("peers.log"), help="of the server")
    default = os.environ.get("S1_EVAL_DATA") or Path(__file__).parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(default))
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    lines = (args.data / "benchmarks" / "math500.jsonl").read_text("utf-8").split("\n")
    asked = [json.loads(line)["problem"] for line in lines if line]
    space = os.environ.get("VLLM_CPU_KVCACHE_SPACE", "2")  # GiB; else nearly all memory
    settings = {"VLLM_CPU_KVCACHE_SPACE": space, "VLLM_SERVER_DEV_MODE": "1"}  # it may be reset
    server = vllm(args.model, "--block-size", "32", log=args.log, **settings)
    with up(server) as root:
        verifier = open_verifier("nano-prm")
        table = Table(root, args.model, args.samples, args.tokens, verifier)
        asyncio.run(measure(table, asked, args.questions, args.turns))


async def measure(table: Table, asked: Sequence[str], questions: int, turns: int) -> None:
    """Prints seconds and tokens of every side, by method, and ratios. Every turn has questions of
    its own, the same for all sides, each of whom finds an empty prefix cache."""
    sides = {name: side(table) for name, side in SIDES.items()}
    print(f"{questions} questions, {table.samples} samples of {table.tokens} tokens at most")
    print(f"{'':>12}{'':>10}{'seconds':>9}{'tokens':>8}{'ms a token':>12}{'ratio':>7}")
    for name in sides["s1_eval"]:
        taken: dict[str, list[tuple[float, int]]] = {}
        for turn in range(turns + 1):
            mine = asked[turn * questions : (turn + 1) * questions]
            for side, methods in sides.items():
                if name not in methods:
                    continue
                httpx.post(f"{table.root}/reset_prefix_cache").raise_for_status()
                before, began = generated(table.root), time.perf_counter()
                jobs = (methods[name](each) for each in mine)
                failed = [
                    e
                    for e in await asyncio.gather(*jobs, return_exceptions=True)
                    if isinstance(e, Exception)
                ]
                took = time.perf_counter() - began
                if failed:
                    print(f"{name}, {side}: {len(failed)} failed, e.g. {failed[0]!r:.200}")
                elif turn:  # the first warms
                    taken.setdefault(side, []).append((took, generated(table.root) - before))
        seconds = {side: statistics.median(s for s, _ in each) for side, each in taken.items()}
        for side, each in taken.items():
            tokens = statistics.median(n for _, n in each)
            ratio = seconds["s1_eval"] / seconds[side]
            print(
                f"{name:>12}{side:>10}{seconds[side]:9.2f}{tokens:8.0f}"
                f"{1000 * seconds[side] / tokens:12.2f}{ratio:7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
