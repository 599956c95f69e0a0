"""Stop-and-continue without barriers against the reference's rounds, on vLLM with nano.

    python benchmarks/rounds.py

The opponent is the reference's algorithm: per "Wait" one `LLM.generate` over all questions, each
round waiting for its longest chain, then one over all answers. Both write the same greedy tokens.
30 questions are AIME24's number; with 128, vLLM on a CPU is busy by tokens rather than by steps, so
that a round that waits costs less. A chain takes a step for each of its tokens, so nothing is done
before the longest chain is: `bound` is that chain's steps over those of all rounds, and the least
that the ratio can be where a step takes as long as theirs. Goals: at most 1.03, 0.9 and 0.5 of the
opponent's time at 0, 2 and 6 ignores with 30 questions; 1.08, 0.7 and 0.55 with 128.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

from side_by_side import Bench, start

from s1_eval.methods.chain import BudgetForcing, nudge_ids
from s1_eval.thinking import encode_exactly

CAP = 900
ANSWER = 16
QUESTIONS = (30, 128)


def rounds(bench: Bench, num_ignores: int) -> tuple[list[tuple[int, ...]], int]:
    """The reference's rounds: what follows each prompt, and how many steps that took."""
    info, tokenizer = bench.policy.engine.info, bench.policy.engine.tokenizer
    delimiters = bench.policy.delimiters
    wait = encode_exactly(tokenizer, "Wait", info.model)
    stops = sorted(delimiters.stop_ids | info.eos_ids)
    thinking: list[tuple[int, ...]] = [() for _ in bench.prompts]
    opened = [prompt + delimiters.start for prompt in bench.prompts]
    cut = [False for _ in bench.prompts]
    active = list(range(len(bench.prompts)))
    steps = 0
    for turn in range(num_ignores + 1):
        generated = bench.generate(
            [opened[n] + thinking[n] for n in active],
            [
                {
                    "max_tokens": CAP - len(thinking[n]),
                    "min_tokens": min(turn, 1),
                    "stop_token_ids": stops,
                }
                for n in active
            ],
        )
        steps += max(map(len, generated))
        going = []
        for n, ids in zip(active, generated, strict=True):
            ended = ids[-1] in stops
            thinking[n] += ids[:-1] if ended else ids
            cut[n] = not ended
            if ended and turn < num_ignores:
                cut[n] = len(thinking[n]) + len(wait) >= CAP
                if not cut[n]:
                    thinking[n] += wait
                    going.append(n)
        active = going
    nudge = nudge_ids(bench.policy, BudgetForcing())
    closing = []
    for ids, was_cut in zip(thinking, cut, strict=True):
        newline = () if bench.policy.decode(ids[-1:]).endswith("\n") else delimiters.newline
        closing.append(newline + delimiters.end + nudge if was_cut else delimiters.end)
    written = [delimiters.start + t + c for t, c in zip(thinking, closing, strict=True)]
    answers = bench.generate(
        [prompt + ids for prompt, ids in zip(bench.prompts, written, strict=True)],
        [{"max_tokens": ANSWER, "stop_token_ids": sorted(info.eos_ids)} for _ in written],
    )
    whole = [
        ids + tuple(id for id in answer if id not in info.eos_ids)
        for ids, answer in zip(written, answers, strict=True)
    ]
    return whole, steps + max(map(len, answers))


def main() -> None:
    everything = start(__doc__, max(QUESTIONS))
    columns = ("questions", "ignores", "tokens", "rounds s", "ours s", "ratio", "bound", "same")
    print("".join(f"{column:>10}" for column in columns))
    for number, num_ignores in itertools.product(QUESTIONS, (0, 2, 6)):
        bench = replace(everything, prompts=everything.prompts[:number])
        params = BudgetForcing(
            max_thinking_tokens=CAP, num_ignores=num_ignores, max_answer_tokens=ANSWER
        )
        traces = bench.forced(params)
        written, steps = rounds(bench, num_ignores)
        same = [trace.ids() for trace in traces] == written
        bound = max(trace.generated_tokens for trace in traces) / steps
        theirs, ours = bench.in_turns(
            partial(rounds, bench, num_ignores), partial(bench.forced, params)
        )
        tokens = sum(trace.generated_tokens for trace in traces)
        print(
            f"{number:10}{num_ignores:10}{tokens:10}{theirs:10.2f}{ours:10.2f}"
            f"{ours / theirs:10.2f}{bound:10.2f}{same!s:>10}",
            flush=True,
        )


if __name__ == "__main__":
    main()
