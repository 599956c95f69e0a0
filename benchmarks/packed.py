"""How much smaller `samples.jsonl.zst` is than `samples.jsonl`, and how fast it is made and read.

    python benchmarks/packed.py [--questions 200]

Rows of nano, as a sweep leaves them; and with S1_EVAL_DATA=FOLDER rows made of other people's long
answers (FOLDER/outputs, DeepScaleR at 8,192 tokens and R1-distill with forced "Wait"s), with a real
tokenizer's ids and texts. Goal: 5 times smaller. One core.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import s1_eval
from s1_eval.evaluation.benchmark import DATA_VARIABLE
from s1_eval.json_lines import JsonObject, raw_lines, read_lines
from s1_eval.packing import Packer

Row = JsonObject


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        s1_eval.evaluate(
            "s1_hf/nano", "nano", "budget_forcing", limit=args.questions, out=folder, num_ignores=2
        )
        [path] = Path(folder).glob("*/samples.jsonl")
        lines = [bytes(line) for line in raw_lines(path) if isinstance(line, bytes)]
        report("nano, 2 ignores", lines, Path(folder))
        if outputs := os.environ.get(DATA_VARIABLE):
            for name, made in real(Path(outputs), json.loads(lines[0])):
                report(name, made, Path(folder))


def real(data: Path, like: Row) -> Iterator[tuple[str, list[bytes]]]:
    """(name, lines): rows like that one, of what other models wrote."""
    from tokenizers import Tokenizer

    encode = Tokenizer.from_file(str(data / "tokenizers" / "qwen3" / "tokenizer.json")).encode
    sources: dict[str, tuple[str, Callable[[Row], str], Callable[[Row], str]]] = {
        "DeepScaleR-1.5B, AIME24 at 8,192 tokens": (
            "deepscaler1.5B_aime24_maxtok/8192.jsonl",
            lambda row: row["question"],
            lambda row: row["generated_responses"][0],
        ),
        "R1-distill-14B, SimpleQA, 4 waits": (
            "r1-distill-qwen-14b_simpleqa/waits_4.jsonl",
            lambda row: row["problem"],
            lambda row: row["thought"],
        ),
    }
    for name, (path, asked, thought) in sources.items():
        lines = []
        with (data / "outputs" / path).open(encoding="utf-8") as file:
            for number, each in enumerate(map(json.loads, file)):
                question, text = asked(each), thought(each)
                ids = encode(text, add_special_tokens=False).ids
                thinking = {"role": "thinking", "origin": "sampled", "ids": ids, "text": text}
                prompt = encode(question, add_special_tokens=False).ids
                trace = {**like["traces"][0], "prompt": prompt}
                trace["segments"] = [*trace["segments"][:1], thinking, *trace["segments"][-1:]]
                row = {**like, "sample_id": str(number), "question": question, "traces": [trace]}
                row |= {"thinking_tokens": len(ids), "seconds": like["seconds"] + number / 7}
                lines.append(json.dumps(row).encode() + b"\n")
        yield name, lines


def report(name: str, lines: list[bytes], folder: Path) -> None:
    tokens = sum(json.loads(line)["thinking_tokens"] for line in lines)
    plain, packer, path = sum(map(len, lines)), Packer(), folder / "x.zst"
    began = time.process_time()
    data = [packer.pack(line) for line in lines]
    data.append(packer.end())
    packed = time.process_time() - began
    path.write_bytes(b"".join(data))
    size = path.stat().st_size
    began = time.process_time()
    assert [*raw_lines(path)] == lines
    unpacked = time.process_time() - began
    began = time.process_time()
    assert len([*read_lines(path)]) == len(lines)
    read = time.process_time() - began
    number = len(lines)
    print(
        f"{name}: {number} rows, {tokens / number:.0f} thinking tokens each; "
        f"{plain / size:.1f} times smaller; {plain / tokens:.2f} and {size / tokens:.2f} bytes a "
        f"thinking token; packed at {plain / packed / 1e6:.0f} MB/s "
        f"({1e3 * packed / number:.2f} ms a row), unpacked at {plain / unpacked / 1e6:.0f} MB/s, "
        f"unpacked and read as JSON at {plain / read / 1e6:.0f} MB/s"
    )


if __name__ == "__main__":
    main()
