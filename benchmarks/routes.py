"""One, two and four vLLM servers of nano behind `s1_api`, and one of four killed in the middle.

    python benchmarks/routes.py [--servers 1,2,4] [--questions 96]

Greedy budget forcing with two ignored ends, so that every question is continued at the least three
times. Printed: seconds, the ratio to one server, and the share of prompt tokens that the servers
had in their prefix caches; then the same with a server killed half-way. Ends with exit code 1 where
a row is lost or a token differs. A server has one core, of two that this was written on.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from servers import Server, vllm

import s1_eval

Ids = dict[str, tuple[int, ...]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default="1,2,4")
    parser.add_argument("--questions", type=int, default=96)
    parser.add_argument("--tokens", type=int, default=768, help="cap on the thinking")
    args = parser.parse_args()
    numbers = [int(number) for number in args.servers.split(",")]
    with servers(max(numbers)) as running:
        urls = [*running]
        ask(urls, 8, args.tokens)  # warm-up of them all
        found: dict[int, tuple[float, Ids]] = {}
        for number in numbers:
            seconds, ids, cached = ask(urls[:number], args.questions, args.tokens)
            found[number] = seconds, ids
            ratio = seconds / found[numbers[0]][0]
            print(f"{number} servers: {seconds:.1f} s, {ratio:.2f} of {numbers[0]}, {cached}")
        killed = threading.Timer(found[numbers[-1]][0] / 2, running[urls[0]].end, [signal.SIGKILL])
        killed.start()
        seconds, ids, cached = ask(urls, args.questions, args.tokens)
        killed.join()
        ratio = seconds / found[numbers[-1]][0]
        print(
            f"one of {numbers[-1]} killed half-way: {seconds:.1f} s, {ratio:.2f} of all, {cached}"
        )
        every = [ids, *(told for _, told in found.values())]
        lost = [id for told in every for id in every[-1].keys() - told.keys()]
        differ = [id for told in every for id in told if told[id] != every[-1][id]]
        print(f"{len(lost)} rows lost, {len(differ)} with other tokens")
        sys.exit(int(bool(lost or differ)))


def ask(urls: list[str], questions: int, tokens: int) -> tuple[float, Ids, str]:
    """Seconds, the ids of each question's chain, and what was cached."""
    settings: dict[str, Any] = {"max_thinking_tokens": tokens, "num_ignores": 2}
    began = time.perf_counter()
    result = s1_eval.evaluate(
        "s1_api/nano",
        "nano",
        "budget_forcing",
        engine={"base_url": urls, "server_name": "nano"},
        limit=questions,
        cache=False,
        progress=False,
        **settings,
    )
    seconds = time.perf_counter() - began
    frame = result.samples(traces=True)
    ids = {
        id: tuple(token for segment in trace["segments"] for token in segment["ids"])
        for id, [trace] in zip(frame.sample_id, frame.traces, strict=True)
    }
    cached = frame.cached_tokens.sum() / frame.prompt_tokens.sum()
    return seconds, ids, f"{100 * cached:.0f}% of the prompts' tokens cached"


def server() -> Server:
    """One on one core, with a small cache for keys and values."""
    return vllm(
        *("nano", "--enable-prompt-tokens-details", "--max-num-seqs", "64", "--block-size", "32"),
        *("--kv-cache-memory-bytes", str(1 << 28)),
        VLLM_LOGGING_LEVEL="ERROR",
        OMP_NUM_THREADS="1",
        VLLM_CPU_OMP_THREADS_BIND="nobind",
    )


@contextlib.contextmanager
def servers(number: int) -> Iterator[dict[str, Server]]:
    """So many servers by their addresses, ended with the block."""
    running: list[Server] = []
    try:
        for _ in range(number):
            running.append(server())
        for each in running:
            each.wait()
        yield {f"{each.root}/v1": each for each in running}
    finally:
        for each in running:
            each.end(signal.SIGKILL)


if __name__ == "__main__":
    main()
