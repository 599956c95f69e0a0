"""`s1_hf` against transformers' own two ways to decode many prompts, on one model in one process.

    python benchmarks/decoders.py MODEL [--rows 16] [--tokens 64] [--dtypes float32,bfloat16]
        [--parts speed,reuse,cancel,attention]

static      `generate`: one batch, padded on the left, that runs until its longest row is done
continuous  `transformers.generation.continuous_batching`: a paged cache that shares prefixes,
            requests added while it runs; its start is not counted

All decode the same greedy ids from MATH-500 questions, whose lengths are those of the data; every
row gets so many new tokens: all as many, or from an eighth of it to twice as many. Then each row's
prompt is asked again with what it came to and a few ids more (prefix reuse), and half the rows are
cancelled as soon as others are done. The attention of `s1_hf` on a CPU, which does not copy the
keys that query heads share, is held against the library's in the same decoder, each on prompts of
its own.
Questions: see the data's README; by default S1_EVAL_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

NEVER = -1
"""An end of sequence that no model samples."""
CANCELLED_AFTER = 1 / 8
"""Of the tokens of a row that is cancelled."""

Rows = list[list[int]]

_NUMBERS = count()


@dataclass(frozen=True)
class Contest:
    """One model for all: our engine, and transformers' model of the same weights and dtype."""

    engine: Any
    model: Any

    @property
    def pad(self) -> int:
        """Masked, so where there is none any id does."""
        return self.engine.tokenizer.pad_token_id or 0

    def contenders(self) -> dict[str, Callable[[Rows, Sequence[int]], tuple[Rows, float]]]:
        """By name: prompts and new tokens of each row to greedy ids, and seconds."""
        return {
            "s1_hf": lambda prompts, lengths: timed(
                lambda: generated(self.engine, prompts, lengths)
            ),
            "static": lambda prompts, lengths: timed(
                lambda: static(self.model, prompts, lengths, self.pad)
            ),
            "continuous": lambda prompts, lengths: continuous(self.model, prompts, lengths),
        }


def open_contest(folder: str, dtype: str, device: str) -> Contest:
    from transformers import AutoModelForCausalLM

    from s1_eval.engines.table import open_engine

    engine = open_engine("s1_hf", folder, dtype=dtype, device=device, max_batch_size=256)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device).eval()
    model.generation_config.eos_token_id = None
    return Contest(engine, model)


def measured(contest: Contest, prompts: Rows, lengths: Sequence[int]) -> dict[str, Any]:
    """Tokens per second by contender, ratios of time, and the share of rows with `generate`'s
    ids."""
    found: dict[str, Rows] = {}
    rates: dict[str, float] = {}
    failed: dict[str, str] = {}
    for name, contender in contest.contenders().items():
        try:
            found[name], seconds = contender(prompts, lengths)
            rates[name] = sum(lengths) / seconds
        except Exception as error:
            failed[name] = f"{error!r:.500}"
    ours, theirs = rates["s1_hf"], found.get("static", [])
    return {
        "tokens": sum(lengths),
        "tokens_per_second": {name: round(rate) for name, rate in rates.items()},
        "time_of_s1_hf_over": {
            name: round(rate / ours, 2) for name, rate in rates.items() if name != "s1_hf"
        },
        "same_rows_as_static": {
            name: sum(a == b for a, b in zip(ids, theirs, strict=False)) / len(prompts)
            for name, ids in found.items()
        },
        **({"failed": failed} if failed else {}),
    }


def reused(contest: Contest, prompts: Rows, tokens: int) -> dict[str, list[float]]:
    """Seconds of a turn, and of one of four tokens that goes on where each row ended."""
    lengths, few = [tokens] * len(prompts), [4] * len(prompts)

    def both(decode: Callable[[Rows, Sequence[int]], Rows]) -> list[float]:
        first, took = timed(lambda: decode(prompts, lengths))
        further = [[*p, *ids, *p[:8]] for p, ids in zip(prompts, first, strict=True)]
        return [round(took, 2), round(timed(lambda: decode(further, few))[1], 2)]

    with started(contest.model, tokens, len(prompts)) as manager:
        theirs = both(lambda *rows: requested(manager, *rows))
    return {
        "s1_hf": both(lambda *rows: generated(contest.engine, *rows)),
        "continuous": theirs,
        "static": both(lambda rows, lengths: static(contest.model, rows, lengths, contest.pad)),
    }


def cancelled(contest: Contest, prompts: Rows, tokens: int) -> dict[str, list[float]]:
    """Seconds of the first third of the prompts alone, and of the second third beside the last,
    which is cancelled once a row has an eighth of its tokens."""
    third = len(prompts) // 3

    def ours(rows: Rows, cancel: int | None = None) -> float:
        lengths = [tokens] * len(rows)
        return timed(lambda: generated(contest.engine, rows, lengths, cancel=cancel))[1]

    def theirs(rows: Rows, cancel: int | None = None) -> float:
        with started(contest.model, tokens, len(rows)) as manager:
            return timed(lambda: requested(manager, rows, [tokens] * len(rows), cancel))[1]

    return {
        name: [round(run(prompts[:third]), 2), round(run(prompts[third : 3 * third], third), 2)]
        for name, run in (("s1_hf", ours), ("continuous", theirs))
    }


def attended(contest: Contest, prompts: Rows, tokens: int) -> dict[str, float]:
    """Seconds by our attention and by the library's, a quarter of the prompts each, in turns: a
    prompt that was asked before would be read already."""
    from s1_eval.engines.attention import LIBRARY

    model = contest.engine.model
    ours = model.config._attn_implementation
    quarter = len(prompts) // 4
    seconds = {ours: 0.0, LIBRARY: 0.0}
    for turn, name in enumerate((ours, LIBRARY, LIBRARY, ours)):
        model.set_attn_implementation(name)
        rows = prompts[turn * quarter : (turn + 1) * quarter]
        seconds[name] += timed(partial(generated, contest.engine, rows, [tokens] * quarter))[1]
    return {name: round(took, 2) for name, took in seconds.items()}


def timed(contender: Callable[[], Rows]) -> tuple[Rows, float]:
    began = time.perf_counter()
    return contender(), time.perf_counter() - began


def generated(
    engine: Any,
    prompts: Sequence[Sequence[int]],
    lengths: Sequence[int],
    ends: frozenset[int] = frozenset(),
    cancel: int | None = None,
) -> Rows:
    """Greedy ids by our engine, all in flight together; rows from `cancel` on are cancelled once
    one has an eighth of its tokens, and left out."""
    from s1_eval.engines.protocol import Sampling, Stop
    from s1_eval.engines.watching import watched

    async def one(prompt: Sequence[int], n: int) -> list[int]:
        asked = engine.generate(prompt, max_tokens=n, stop=Stop(ends), sampling=Sampling())
        return list((await asked).ids)

    async def all_at_once() -> Rows:
        loop, far = asyncio.get_running_loop(), asyncio.Event()

        def see(first: int, ids: Sequence[int]) -> None:
            if first + len(ids) >= lengths[0] * CANCELLED_AFTER:
                loop.call_soon_threadsafe(far.set)

        jobs = []
        for at, row in enumerate(zip(prompts, lengths, strict=True)):
            with watched(see if cancel is not None and not at else None):
                jobs.append(asyncio.create_task(one(*row)))
        if cancel is not None:
            await far.wait()
            for job in jobs[cancel:]:
                job.cancel()
        return [await job for job in jobs[:cancel]]

    return asyncio.run(all_at_once())


def static(model: Any, prompts: Sequence[Sequence[int]], lengths: Sequence[int], pad: int) -> Rows:
    """Greedy ids by `generate`: one batch, padded on the left, up to its longest row."""
    import torch
    from transformers import GenerationConfig

    model.set_attn_implementation("sdpa")
    widest = max(map(len, prompts))
    ids = torch.tensor([[pad] * (widest - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (widest - len(p)) + [1] * len(p) for p in prompts])
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=GenerationConfig(
                do_sample=False, max_new_tokens=max(lengths), eos_token_id=NEVER, pad_token_id=pad
            ),
        )
    rows = out[:, widest:].tolist()
    return [row[:n] for row, n in zip(rows, lengths, strict=True)]


@contextmanager
def started(model: Any, longest: int, rows: int) -> Iterator[Any]:
    """transformers' continuous batching of `model`, running; on a CPU with room for four blocks of
    256 tokens a row, as else it takes half of the memory."""
    from transformers import ContinuousBatchingConfig, GenerationConfig

    config = GenerationConfig(do_sample=False, max_new_tokens=longest, eos_token_id=NEVER)
    model.set_attn_implementation("paged|sdpa")
    few = {"num_blocks": 4 * rows} if model.device.type == "cpu" else {"max_memory_percent": 0.5}
    room = ContinuousBatchingConfig(**few)
    with model.continuous_batching_context_manager(
        generation_config=config, continuous_batching_config=room
    ) as manager:
        yield manager


def continuous(model: Any, prompts: Rows, lengths: Sequence[int]) -> tuple[Rows, float]:
    """Greedy ids by transformers' continuous batching, and seconds without its start."""
    with started(model, max(lengths), len(prompts)) as manager:
        return timed(lambda: requested(manager, prompts, lengths))


def requested(
    manager: Any, prompts: Rows, lengths: Sequence[int], cancel: int | None = None
) -> Rows:
    """The same of a manager that runs; `cancel` as in `generated`."""
    numbers = {f"{next(_NUMBERS)}": at for at in range(len(prompts))}
    names = list(numbers)
    for name, at in numbers.items():
        manager.add_request(
            input_ids=list(prompts[at]),
            request_id=name,
            max_new_tokens=lengths[at],
            eos_token_id=NEVER,
            streaming=cancel is not None and not at,
        )
    found: dict[int, list[int]] = {}
    wanted = len(prompts) if cancel is None else cancel
    while len(found) < wanted:
        result = manager.get_result(timeout=1)
        if result is None:
            if not manager.is_running():
                raise RuntimeError("continuous batching ended before its requests")
        elif result.error:
            raise RuntimeError(result.error)
        elif result.is_finished() and numbers[result.request_id] < wanted:
            found[numbers[result.request_id]] = list(result.generated_tokens)
        elif cancel and len(result.generated_tokens) >= lengths[0] * CANCELLED_AFTER:
            for name in names[cancel:]:
                manager.cancel_request(name)
            names = names[:cancel]
    return [found[at] for at in range(wanted)]


def questions(engine: Any, data: Path) -> Iterator[list[int]]:
    """Prompts of MATH-500 in the model's chat template, in the order of the data."""
    for line in (data / "benchmarks" / "math500.jsonl").read_text("utf-8").split("\n"):
        if line:
            asked = [{"role": "user", "content": json.loads(line)["problem"]}]
            yield list(engine.info.chat.encode(engine.tokenizer, asked, engine.info.model))


def lengths_of(rows: int, kind: str, mean: int) -> list[int]:
    """New tokens of each row: `mean` for all, or drawn from an eighth of it to twice as many."""
    if kind == "equal":
        return [mean] * rows
    rng = random.Random(0)  # noqa: S311
    return [rng.randint(mean // 8, 2 * mean) for _ in range(rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a folder")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64, help="of a row, on average")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--parts", default="speed,reuse,cancel,attention")
    parser.add_argument("--device", default="cpu")
    default = os.environ.get("S1_EVAL_DATA") or Path(__file__).parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(default))
    args = parser.parse_args()
    parts = args.parts.split(",")
    for dtype in args.dtypes.split(","):
        contest = open_contest(args.model, dtype, args.device)
        prompts = questions(contest.engine, args.data)

        def some(rows: int, prompts: Iterator[list[int]] = prompts) -> Rows:
            return list(islice(prompts, rows))

        machine = {**contest.engine.info.versions, "cpus": os.cpu_count()}
        print(json.dumps({"dtype": dtype, "rows": args.rows, **machine}), flush=True)
        measured(contest, some(2), [4, 4])  # warm
        for kind in ("equal", "mixed") if "speed" in parts else ():
            lengths = lengths_of(args.rows, kind, args.tokens)
            found = measured(contest, some(args.rows), lengths)
            print(json.dumps({"lengths": kind, **found}), flush=True)
        if "reuse" in parts:
            found = reused(contest, some(args.rows), args.tokens)
            print(json.dumps({"first turn, and four tokens after it, s": found}), flush=True)
        if "cancel" in parts:
            found = cancelled(contest, some(3 * (args.rows // 2)), args.tokens)
            print(json.dumps({"half alone, and beside a half that leaves, s": found}), flush=True)
        if "attention" in parts:
            found = attended(contest, some(4 * args.rows), args.tokens)
            print(json.dumps({"by attention, s": found}), flush=True)
        contest.engine.close()


if __name__ == "__main__":
    main()
