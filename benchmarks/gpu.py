"""What a GPU shows of this project, on models that it did not make, in a few minutes.

    s1-train unpack MODEL.gguf FOLDER
    python benchmarks/gpu.py run --out OUT --work WORK [--smollm2 FOLDER] [--qwen FOLDER]
        [--math FILE] [--stages exact,sft,speed,real,more] [--seconds 480] [--tiny]

Stages, each a process of its own that is ended at the time that is left, with what it found on disk
in OUT after every step (STAGE.jsonl, STAGE.log, and the records and pictures of its sweeps):

exact  greedy ids of `s1_hf` on the GPU against those on the CPU, float32
sft    `s1-train sft smollm2_135m`, with the sweep on held-out questions before and after
speed  `s1_hf` against transformers' own ways to decode, see `decoders.py`
real   plain, a vote and self-refinement on the easy MATH-500 questions of --math
more   the recipes with LoRA, on cut thinking, on ten times the tokens, and for Qwen2.5

A stage whose model or file is
not there is left out. --tiny runs everything at a size that only shows that it runs. Weights stay
in WORK.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decoders import generated, lengths_of, measured, open_contest

STAGES = ("exact", "sft", "speed", "real", "more")
SWEEP = [sys.executable, "-m", "s1_eval.cli.main"]
TRAIN = [sys.executable, "-m", "s1_eval.cli.train"]
MAX_STEPS = 6
"""Of a question; as the recipes say."""
CAPS = "16,32,48,64,96,128,256"
IGNORES = "0,1,2,3,4"


@dataclass(frozen=True)
class Bench:
    """Where things lie. smollm2, qwen: models' folders, side by side. math: rows of MATH-500."""

    out: Path
    work: Path
    smollm2: Path
    qwen: Path
    math: Path
    tiny: bool

    @property
    def questions(self) -> Path:
        """Held-out ones of as many steps as the recipes train on, as `--task nano` reads them."""
        return self.work / "questions.jsonl"

    def note(self, stage: str, /, **found: Any) -> None:
        """One line of JSON in OUT/STAGE.jsonl, and on the screen."""
        line = json.dumps(found)
        print(line, flush=True)
        with (self.out / f"{stage}.jsonl").open("a") as file:
            file.write(line + "\n")

    def call(self, stage: str, name: str, command: Sequence[str]) -> float:
        """Seconds that `command` took; its output is in OUT/STAGE.NAME.log. Raises RuntimeError
        where it fails."""
        log = self.out / f"{stage}.{name}.log"
        began = time.perf_counter()
        with log.open("w") as file:
            file.write(" ".join(command) + "\n")
            file.flush()
            done = subprocess.run(
                command, stdout=file, stderr=subprocess.STDOUT, cwd=self.smollm2.parent
            )
        seconds = round(time.perf_counter() - began, 1)
        self.note(stage, step=name, seconds=seconds, returncode=done.returncode)
        if done.returncode:
            raise RuntimeError(f"{name} failed:\n{log.read_text()[-2000:]}")
        return seconds


def exact(bench: Bench) -> None:
    """Greedy ids on the GPU against the CPU's, and where they part how near the two ids were."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokens = 8 if bench.tiny else 128
    for model in ("nano", str(bench.smollm2)):
        if model != "nano" and not bench.smollm2.is_dir():
            continue
        found, gap = {}, None
        for where in dict.fromkeys(("cpu", device)):
            engine = engine_of(model, "float32", where)
            prompts = prompts_of(engine.tokenizer, 16)
            ends = engine.info.eos_ids
            began = time.perf_counter()
            found[where] = generated(engine, prompts, [tokens] * 16, ends)
            seconds = time.perf_counter() - began
            if where == device:
                gap = gap_of(engine, prompts, found["cpu"], found[device])
            engine.close()
            bench.note("exact", model=Path(model).name, device=where, seconds=round(seconds, 2))
        bench.note(
            "exact",
            model=Path(model).name,
            rows=16,
            tokens=sum(map(len, found["cpu"])),
            same_rows=sum(a == b for a, b in zip(found["cpu"], found[device], strict=True)),
            **(gap or {}),
        )


def gap_of(
    engine: Any,
    prompts: Sequence[Sequence[int]],
    one: Sequence[Sequence[int]],
    other: Sequence[Sequence[int]],
) -> dict[str, Any]:
    """The first token at which any row differs, and how far apart the two logits are there."""
    import torch

    places = []
    for prompt, a, b in zip(prompts, one, other, strict=True):
        at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
        if at is not None:
            ids = torch.tensor([[*prompt, *a[:at]]], device=engine.model.device)
            with torch.inference_mode():
                logits = engine.model(ids).logits[0, -1]
            places.append((at, abs(float(logits[a[at]] - logits[b[at]]))))
    if not places:
        return {}
    return {"first_difference": min(places)[0], "widest_logit_gap": max(gap for _, gap in places)}


def speed(bench: Bench) -> None:
    """Tokens per second of three contenders over the same prompts and lengths."""
    import torch

    if not bench.smollm2.is_dir():
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = (2,) if bench.tiny else (16, 64, 256)
    for dtype in ("bfloat16", "float32"):
        contest = open_contest(str(bench.smollm2), dtype, device)
        tokenizer = contest.engine.tokenizer
        mean = 8 if bench.tiny else 128
        measured(contest, prompts_of(tokenizer, sizes[0], 99), [mean] * sizes[0])  # warm
        for rows in sizes:
            for kind in ("equal", "mixed"):
                prompts = prompts_of(tokenizer, rows, rows)
                found = measured(contest, prompts, lengths_of(rows, kind, mean))
                bench.note("speed", dtype=dtype, rows=rows, lengths=kind, **found)
        contest.engine.close()
        del contest
        if device == "cuda":
            torch.cuda.empty_cache()


def engine_of(model: str, dtype: str, device: str) -> Any:
    from s1_eval.engines.table import open_engine

    return open_engine("s1_hf", model, dtype=dtype, device=device, max_batch_size=256)


def prompts_of(tokenizer: Any, rows: int, seed: int = 0) -> list[list[int]]:
    """Prompts of several lengths: held-out questions in the model's chat template."""
    from s1_eval.training.nano.problems import held_out

    texts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": problem.question}],
            tokenize=False,
            add_generation_prompt=True,
        )
        for problem in held_out(rows, seed)
    ]
    return [list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]


def sft(bench: Bench) -> None:
    """SmolLM2 by its recipe, and what it can before and after."""
    if not bench.smollm2.is_dir():
        return
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(sweep, bench, "sft", bench.smollm2, "smollm2-before", "s1")
        trained = train(bench, "sft", "smollm2_135m", bench.smollm2)
        before.result()
    sweep(bench, "sft", trained, trained.name)
    card(bench, "sft", trained, trained.name)


def more(bench: Bench) -> None:
    """The other recipes, together on the one GPU."""
    longer = {"source": {"nano": {"examples": 42450}}, "training": {"tokens_per_batch": 16384}}
    wanted: list[tuple[str, Path, str, Mapping[str, Any]]] = [
        ("smollm2_135m", bench.smollm2, "-10x", longer),
        ("smollm2_135m_cut", bench.smollm2, "", {}),
        ("smollm2_135m_lora", bench.smollm2, "", {}),
        ("qwen2.5_0.5b", bench.qwen, "", {}),
    ]

    def one(recipe: str, base: Path, suffix: str, changes: Mapping[str, Any]) -> None:
        trained = train(bench, "more", recipe, base, suffix, changes)
        sweep(bench, "more", trained, trained.name)
        card(bench, "more", trained, trained.name)

    here = [each for each in wanted if each[1].is_dir()]
    with ThreadPoolExecutor(5) as pool:
        jobs = [pool.submit(one, *each) for each in here]
        if bench.qwen.is_dir():
            jobs.append(pool.submit(sweep, bench, "more", bench.qwen, "qwen-before", "s1"))
        for job in jobs:
            try:
                job.result()
            except RuntimeError as error:
                bench.note("more", failed=str(error))


def train(
    bench: Bench,
    stage: str,
    recipe: str,
    base: Path,
    suffix: str = "",
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """The checkpoint of one of our recipes that starts from `base`."""
    import yaml

    from s1_eval.training.recipe_files import based, find

    name = Path(based(find(recipe))["output"]).name + suffix
    said: dict[str, Any] = {"based_on": f"{recipe}.yaml", "model": {"pretrained": base.name}}
    for part, values in (changes or {}).items():
        said[part] = values
    if bench.tiny:
        said["source"] = {"nano": {"examples": 24}}
        said["training"] = {"max_steps": 2, "tokens_per_batch": 1024, "save_steps": None}
    path = bench.work / f"{name}.yaml"
    path.write_text(yaml.safe_dump(said))
    output = bench.work / name
    bench.call(stage, f"{name}.train", [*TRAIN, "sft", str(path), "--output", str(output)])
    log = json.loads((output / "training.json").read_text())
    shutil.copy(output / "training.json", bench.out / f"{name}.training.json")
    kept = ("seconds", "steps", "tokens", "parameters", "device")
    losses = [row["loss"] for row in log["losses"]]
    bench.note(stage, recipe=recipe, **{k: log[k] for k in kept}, losses=losses)
    return output


def sweep(bench: Bench, stage: str, model: Path, name: str, format: str | None = None) -> None:
    """Caps and ignores on held-out questions; `format` is told where it can't be detected."""
    from transformers import AutoTokenizer

    from s1_eval.thinking import detect

    out = bench.out / f"sweep-{name}"
    command = [*SWEEP, "sweep", "--model", f"s1_hf/{model}", "--task", "nano"]
    command += ["--data", str(bench.questions), "--methods", "budget_forcing"]
    command += ["--max-thinking-tokens", "8,16" if bench.tiny else CAPS]
    command += ["--num-ignores", "0,1" if bench.tiny else IGNORES]
    command += ["-S", f"max_answer_tokens={8 if bench.tiny else 16}"]
    command += ["-M", "context_length=640", "-M", "dtype=float32"]
    # Several run on the one GPU at once, beside trainings.
    command += ["-M", "max_batch_size=256", "-M", "kv_cache_tokens=150000", "--out", str(out)]
    command += ["-S", f"thinking_format={format}"] if format else []
    tokenizer = AutoTokenizer.from_pretrained(model)
    bench.note(stage, model=name, detected=detect("auto", tokenizer, str(model)).to_dict())
    bench.call(stage, f"{name}.sweep", command)
    shutil.rmtree(out / "cache", ignore_errors=True)
    scored = subprocess.run(
        [*SWEEP, "score", "--json", str(out)], capture_output=True, text=True, check=True
    )
    (bench.out / f"{name}.score.json").write_text(scored.stdout)
    for entry in json.loads(scored.stdout):
        bench.note(
            stage,
            model=name,
            varied=entry["varied"],
            control=entry["control"]["value"],
            scaling=entry["scaling"]["value"],
            points={
                point["label"]: [
                    round(point["accuracy"][key], 1) for key in ("value", "low", "high")
                ]
                + [round(point["thinking_tokens"]["value"], 1)]
                for point in entry["points"]
            },
        )


def write_questions(path: Path, number: int) -> None:
    from s1_eval.training.nano.problems import held_out

    rows = [problem.row for problem in held_out(number, max_steps=MAX_STEPS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def card(bench: Bench, stage: str, model: Path, name: str) -> None:
    command = [*TRAIN, "card", str(model), "--results", str(bench.out / f"sweep-{name}")]
    bench.call(stage, f"{name}.card", command)
    for file in ("README.md", "loss.png"):
        shutil.copy(model / file, bench.out / f"{name}.{file}")


def real(bench: Bench) -> None:
    """Both models as they are, on easy questions of MATH-500, at the same time."""
    here = [model for model in (bench.smollm2, bench.qwen) if model.is_dir()]
    if not bench.math.is_file() or not here:
        return

    def one(model: Path) -> None:
        longest = 16 if bench.tiny else 384
        command = [*SWEEP, "sweep", "--model", f"s1_hf/{model}", "--task", "math500"]
        command += ["--data", str(bench.math), "--methods", "plain,majority_vote,self_refine"]
        command += ["--samples", "1,2" if bench.tiny else "1,4", "--temperature", "0.7"]
        command += ["-S", f"max_tokens={longest}", "-S", f"max_answer_tokens={longest}"]
        command += [
            "-M",
            "max_batch_size=256",
            "-M",
            "kv_cache_tokens=150000",
            "--limit",
            "2" if bench.tiny else "40",
        ]
        bench.call("real", model.name, [*command, "--out", str(bench.out / f"real-{model.name}")])
        shutil.rmtree(bench.out / f"real-{model.name}" / "cache", ignore_errors=True)

    with ThreadPoolExecutor(2) as pool:
        for job in [pool.submit(one, model) for model in here]:
            try:
                job.result()
            except RuntimeError as error:
                bench.note("real", failed=str(error))
    paths = [str(p) for m in here if (p := bench.out / f"real-{m.name}").is_dir()]
    scored = subprocess.run([*SWEEP, "score", *paths], capture_output=True, text=True)
    (bench.out / "real.txt").write_text(scored.stdout + scored.stderr)
    print(scored.stdout, flush=True)


def run_all(bench: Bench, stages: Sequence[str], seconds: float, argv: Sequence[str]) -> None:
    """Each stage as a process of its own, ended where the time is up."""
    until = time.monotonic() + seconds
    for stage in stages:
        left = until - time.monotonic()
        if left < 10:
            bench.note("run", stage=stage, skipped=f"{left:.0f} s left")
            continue
        command = [sys.executable, __file__, *argv, "--stages", stage]
        began = time.monotonic()
        with (bench.out / f"{stage}.log").open("w") as log:
            child = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                code: int | str = child.wait(timeout=left)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, 9)
                code = f"ended after {left:.0f} s"
        took = round(time.monotonic() - began, 1)
        bench.note("run", stage=stage, seconds=took, returncode=code)


def machine() -> Iterator[str]:
    import torch
    import transformers

    yield f"Python {platform.python_version()}, torch {torch.__version__}"
    yield f"transformers {transformers.__version__}, {os.cpu_count()} CPUs"
    yield torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--work", type=Path, required=True)
    running.add_argument("--smollm2", type=Path, default=Path("SmolLM2-135M-Instruct"))
    running.add_argument("--qwen", type=Path, default=Path("Qwen2.5-Coder-0.5B-Instruct"))
    running.add_argument("--math", type=Path, default=Path("math500.jsonl"))
    running.add_argument("--stages", default=",".join(STAGES))
    running.add_argument("--seconds", type=float, default=480.0)
    running.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    stages = args.stages.split(",")
    if strange := set(stages) - set(STAGES):
        raise SystemExit(f"--stages {','.join(sorted(strange))}: choose from {','.join(STAGES)}")
    for folder in (args.out, args.work):
        folder.mkdir(parents=True, exist_ok=True)
    places = (args.out, args.work, args.smollm2, args.qwen, args.math)
    out, work, smollm2, qwen, math = (place.resolve() for place in places)
    bench = Bench(out, work, smollm2, qwen, math, args.tiny)
    if not bench.questions.exists():
        write_questions(bench.questions, 4 if args.tiny else 200)
    if len(stages) == 1:
        globals()[stages[0]](bench)
        return
    bench.note("run", machine=list(machine()))
    run_all(bench, stages, args.seconds, sys.argv[1:])


if __name__ == "__main__":
    main()
