"""The cap alone, which servers have too: nano's thinking ended at a number of tokens by vLLM's
`thinking_token_budget` or llama.cpp's reasoning budget, against budget forcing without ignores.

    python benchmarks/cap.py
    S1_EVAL_LLAMA_SERVER=llama-server python benchmarks/cap.py

Both sides think greedily over the same questions, each with all of them at once, and measured in
turns: vLLM's in one process, llama.cpp's over one server, which is asked by `s1_api` for ours and
with the same sampling for theirs. Over the cap counts thinking tokens beyond it, those of the
delimiters excluded; `unended` chains never ended their thinking.

llama.cpp counts from a text that the model has sampled, and nano's thinking is opened by the
prompt: the budget begins at `S=`, which each thought begins with, and is that much smaller.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
from servers import Server, up
from side_by_side import in_turns, start

from s1_eval.answers import grader
from s1_eval.engines.continuation import Request
from s1_eval.engines.dialects.llama_cpp import LlamaCpp
from s1_eval.engines.protocol import Sampling, Stop
from s1_eval.methods import Policy, Question
from s1_eval.methods.chain import BudgetForcing, answer_text, force
from s1_eval.thinking import Trace
from s1_eval.training.nano.problems import held_out

CAPS = (16, 64, 256)
ANSWER = 16
QUESTIONS, REPEATS = 64, 3
START, END = "<|im_start|>think\n", "<|im_start|>answer\n"
OPENED = "S="
"""How each thought of nano begins: a token a letter."""

Ids = tuple[int, ...]


def main() -> None:
    if program := os.environ.get("S1_EVAL_LLAMA_SERVER"):
        against_llama_cpp(program)
    else:
        against_vllm()


def against_vllm() -> None:
    from vllm.config import ReasoningConfig

    bench = start(
        __doc__,
        QUESTIONS,
        reasoning_config=ReasoningConfig(reasoning_start_str=START, reasoning_end_str=END),
    )
    opened = opened_prompts(bench.policy, bench.prompts)
    eos = sorted(bench.policy.engine.info.eos_ids)

    def theirs(cap: int) -> list[Ids]:
        limits = {"thinking_token_budget": cap, "stop_token_ids": eos}
        return bench.generate(opened, [limits | {"max_tokens": longest(cap)}] * len(opened))

    compare(bench.policy, bench.prompts, bench.forced, theirs, bench.in_turns)


def against_llama_cpp(program: str) -> None:
    from s1_eval.engines.completions import CompletionsEngine

    with served(program) as url:
        engine = CompletionsEngine("nano", f"{url}/v1", tokenizer="nano")
        policy = Policy.bind(engine)
        print(f"{os.cpu_count()} CPUs; llama.cpp {engine.info.versions['server']}")
        load = os.getloadavg()[0]
        print(f"{QUESTIONS} questions, fastest of {REPEATS}; load at the start {load:.1f}")
        asked = [
            Question(str(n), p.question, grader("integer"))
            for n, p in enumerate(held_out(QUESTIONS))
        ]
        prompts = [policy.prompt_ids(question) for question in asked]
        opened = opened_prompts(policy, prompts)

        def ours(params: BudgetForcing) -> list[Trace]:
            async def all_at_once() -> list[Trace]:
                return await asyncio.gather(*(force(policy, p, params) for p in prompts))

            return asyncio.run(all_at_once())

        def theirs(cap: int) -> list[Ids]:
            return asyncio.run(budgeted(url, opened, cap))

        compare(policy, prompts, ours, theirs, partial(in_turns, REPEATS))
        engine.close()


async def budgeted(url: str, prompts: Sequence[Ids], cap: int) -> list[Ids]:
    """llama.cpp's own budget, on its `/completion`."""
    budget = {
        "reasoning_budget_tokens": cap - len(OPENED),
        "reasoning_budget_start_tag": OPENED,
        "reasoning_budget_end_tag": END,
        "reasoning_budget_message": "",
    }
    async with httpx.AsyncClient(timeout=600) as client:

        async def one(prompt: Ids) -> Ids:
            request = Request(prompt, longest(cap), Stop(), Sampling())
            body = LlamaCpp().body(request, "nano", None, False) | budget
            reply = await client.post(f"{url}/completion", json=body)
            return tuple(reply.json()["tokens"])

        return list(await asyncio.gather(*map(one, prompts)))


def compare(
    policy: Policy,
    prompts: Sequence[Ids],
    forced: Callable[[BudgetForcing], list[Trace]],
    budget: Callable[[int], list[Ids]],
    in_turns: Callable[..., list[float]],
) -> None:
    targets = [problem.target for problem in held_out(len(prompts))]
    end = policy.engine.tokenizer.encode(END, add_special_tokens=False)

    def right(answers: Sequence[str]) -> int:
        grade = grader("integer").grade
        return sum(grade(a, t).correct for a, t in zip(answers, targets, strict=True))

    heads = ("cap", "", "seconds", "ratio", "over the cap", "unended", "right", "tokens")
    print("".join(f"{head:>13}" for head in heads))
    for cap in CAPS:
        params = BudgetForcing(max_thinking_tokens=cap, max_answer_tokens=ANSWER)
        ours, theirs = in_turns(partial(forced, params), partial(budget, cap))
        traces, outputs = forced(params), budget(cap)
        parts = [parted(ids, end) for ids in outputs]
        thought = [len(thinking) for thinking, _ in parts]
        rows = {
            "ours": (
                ours,
                [trace.thinking_tokens for trace in traces],
                0,
                right([answer_text(policy, trace) for trace in traces]),
                sum(trace.generated_tokens for trace in traces),
            ),
            "theirs": (
                theirs,
                thought,
                sum(answer is None for _, answer in parts),
                right([policy.decode_plain(answer or ()) for _, answer in parts]),
                sum(map(len, outputs)),
            ),
        }
        for name, (seconds, lengths, unended, correct, tokens) in rows.items():
            over = sum(max(length - cap, 0) for length in lengths)
            ratio = ours / theirs if name == "ours" else 1.0
            cells = (cap, name, f"{seconds:.2f}", f"{ratio:.2f}", over, unended, correct, tokens)
            print("".join(f"{cell:>13}" for cell in cells))


def parted(ids: Ids, end: Sequence[int]) -> tuple[Ids, Ids | None]:
    """(thinking, answer): parted by the first end of thinking; None where there is none."""
    for at in range(len(ids) - len(end) + 1):
        if list(ids[at : at + len(end)]) == list(end):
            return ids[:at], ids[at + len(end) :]
    return ids, None


def longest(cap: int) -> int:
    """Thinking, its end, the answer's opener and the answer."""
    return cap + ANSWER + 8


def opened_prompts(policy: Policy, prompts: Sequence[Ids]) -> list[Ids]:
    start = tuple(policy.engine.tokenizer.encode(START, add_special_tokens=False))
    return [(*prompt, *start) for prompt in prompts]


@contextmanager
def served(program: str) -> Iterator[str]:
    """The address of llama.cpp's server on nano, up."""
    sys.path.append(str(Path(__file__).parent.parent / "tests" / "engines"))
    import nano_gguf

    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "nano.gguf"
        nano_gguf.write(model)
        command = [program, "-m", str(model), "--alias", "nano"]
        command += ["--parallel", "16", "--ctx-size", "16384", "--threads", "2"]
        with up(Server(*command)) as url:
            yield url


if __name__ == "__main__":
    main()
