"""Every command that README.md and docs/*.md show is run as it stands there, in the order of the
documents, in one folder: on nano and four questions. What needs a large model, the hub or data of
its own is parsed by the command's own parser, and stands in `ONLY_PARSED` with the reason. A new
command is run; if it can't be, the test fails until someone says why."""

from __future__ import annotations

import configparser
import csv
import io
import json
import re
import shlex
import subprocess
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import forked
import pytest

from s1_eval.cli import main as ours
from s1_eval.training import main as training
from s1_eval.training.nano.problems import held_out

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
LIMIT = "4"

COMMAND = re.compile(r"(\$ ?)?(s1-eval|s1-train|inspect eval|lm_eval|python benchmarks/)\b")
DEMO = "python -m tox run -e demo"

ONLY_PARSED = {
    r"s1-train (curate|traces)": "reads data sets from the hub",
    r"s1-train sft training/recipes/nano": "trains for an hour",
    r"s1-train card": "measures 500 problems, or needs a trained model",
    r"leaderboard export .*DATASET:TASK_ID": "needs a run of a model on the hub",
    r"leaderboard export .*every-eval-ever": "needs a run of a model on the hub",
    r"s1-eval (score|advise) deepscaler": "needs that model's tokenizer",
    r"s1_math500|s1_eval/math500|--task math500": "MATH-500 is on the hub",
    r"aime24|contests_2026|arxivmath": "these are on the hub",
    r"s1_api|--server|base_url=|--model-base-url": "needs a server",
    r"s1-eval serve": "serves until it is ended",
    r"s1_vllm/POLICY": "shows two settings of a search of two large models",
    r"s1-SmolLM2": "needs a trained model",
    r"s1-train unpack": "needs a model's GGUF file",
    r"repair RUN": "needs a damaged run",
    r"s1-eval view": "serves until it is ended",
    r"python benchmarks/": "measures for minutes to hours",
    r"…": "leaves something to the reader",
}
"""Commands that are not run here, and why."""

NOT_COMMANDS = (r"…$", r"ENGINE/NAME", r"RUNS…", r"^lm_eval/", r"^s1-\S+( \S+)?$")
"""Inline code that names a command and is none: it has no arguments, or leaves them open."""

SMALLER = (
    (r"s1_vllm/nano", "s1_hf/nano"),
    (r" -M \S+", ""),
    (r" --epochs \d+", " --epochs 2"),
    (r" --limit \d+", ""),
    (r"24\.\.288:24", "2^4..2^5"),
    (r"samples( |=)(4,)?16\b", r"samples\1\g<2>4"),
    (r"samples 4,4", "samples 2,4"),
    (r"compute-optimal", "compute-optimal --bins 2"),
)
"""What makes a command small enough: patterns and what is put in their place."""


def commands(document: str) -> list[str]:
    """The commands of a document in its order, each on one line, shell variables filled in."""
    found: list[str] = []
    variables: dict[str, str] = {}
    for is_code, text in _parts((ROOT / document).read_text("utf-8")):
        if not is_code:
            inline = (" ".join(code.split()) for code in re.findall("`([^`]+)`", text))
            found += [c for c in inline if not any(re.search(no, c) for no in NOT_COMMANDS)]
            continue
        for line in _joined(text):
            for name, value in variables.items():
                line = line.replace(f"${name}", value)
            if assigned := re.match(r'([A-Z]+)="(.*)"$', line):
                variables[assigned[1]] = assigned[2]
            found.append(line)
    return [line for line in found if COMMAND.match(line) or DEMO in line]


def _parts(text: str) -> list[tuple[bool, str]]:
    """(is it a block of code, its text) of a document, in order."""
    parts: list[tuple[bool, str]] = []
    fenced = False
    for line in text.splitlines():
        fence = line.startswith("```")
        fenced = fenced != fence
        is_code = (fenced and not fence) or line.startswith("    ")
        if fence or not parts or parts[-1][0] != is_code:
            parts.append((is_code, ""))
        if not fence:
            parts[-1] = (is_code, f"{parts[-1][1]}{line}\n")
    return parts


def _joined(block: str) -> list[str]:
    """The block's lines, continuation lines and open quotes joined, comments and `…` taken off."""
    lines: list[str] = []
    joined = ""
    for line in block.splitlines():
        joined = f"{joined} {line.strip()}".strip()
        if joined.endswith("\\"):
            joined = joined[:-1].rstrip()
            continue
        try:
            words = shlex.split(joined, comments=True)
        except ValueError:  # a quote is open
            continue
        kept = "$" in joined or '="' in joined or "&&" in joined
        lines.append(joined if kept else shlex.join(words))
        joined = ""
    return lines


def parse(command: str) -> None:
    """Have the command's own parser read it."""
    first, *rest = shlex.split(command)
    if "…" in rest:  # for the reader to fill in
        at = rest.index("…")
        given = {"--model": "nano", "--task": "nano", "--methods": "plain", "--out": "x"}
        new = [word for pair in given.items() if pair[0] not in rest for word in pair]
        rest[at : at + 1] = new * (first == "s1-eval")
    if first == "s1-eval":
        ours.parser().parse_args(rest)
    elif first == "s1-train":
        training.parser().parse_args(rest)
    elif first == "python":
        assert (ROOT / rest[0]).is_file()
    elif first == "lm_eval":
        from lm_eval._cli import HarnessCLI

        from s1_eval.harness.gen_kwargs import read_gen_kwargs

        read_gen_kwargs(HarnessCLI()._parser.parse_args(["run", *rest]).gen_kwargs or {})
    else:
        from inspect_ai._cli.main import inspect

        inspect.commands["eval"].make_context("eval", rest[1:])


def smaller(command: str) -> list[str]:
    for pattern, put in SMALLER:
        command = re.sub(pattern, put, command)
    words = shlex.split(command)
    if "sweep" in words or words[0] in ("inspect", "lm_eval"):
        words += ["--limit", LIMIT]
    elif words[0] == "s1-eval" and hasattr(ours.parser().parse_args(words[1:]), "resamples"):
        words += ["--resamples", "50"]
    return words


MODULES = {"s1-train": "s1_eval.cli.train", "inspect": "inspect_ai", "lm_eval": "lm_eval"}


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What the command does in the folder. Ours run here: most of their time is the imports."""
    if words[0] != "s1-eval":
        return forked.run(MODULES[words[0]], *words[1:], cwd=folder)
    said = io.StringIO()
    with chdir(folder), redirect_stdout(io.StringIO()), redirect_stderr(said):
        code = ours.main(words[1:])
    return subprocess.CompletedProcess(words, code, stderr=said.getvalue())


def demo() -> str:
    """What `tox run -e demo` runs."""
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    command = tox["testenv:demo"]["commands"].replace("\\\n", " ").replace("{posargs}", "")
    return " ".join(command.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A folder like a checkout, without anything that commands left there, and with the files of
    other people that the documents score."""
    made = tmp_path_factory.mktemp("checkout")
    outputs = shared_data / "outputs"
    for path in (
        *(ROOT / name for name in ("tasks", "solvers", "training", "benchmarks", "docs")),
        *outputs.glob("*_*"),
        *outputs.glob("s1-32B_aggregates/*.metrics.json"),
    ):
        (made / path.name).symlink_to(path)
    for name in ("my.csv", "train.jsonl"):
        _write_questions(made / name)
    (made / "PAIRS.jsonl").write_text('{"grader": "math", "gold": "1/2", "answer": "0.5"}\n')
    return made


def _write_questions(path: Path) -> None:
    """Six of nano's at two levels."""
    rows = [
        {"question": each.question, "answer": each.row["answer"], "level": number % 2}
        for number, each in enumerate(held_out(6))
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(f"{json.dumps(row)}\n" for row in rows)
            return
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_is_one_that_its_parser_takes(document: str) -> None:
    for command in commands(document):
        if DEMO not in command:
            parse(command)


def test_commands_are_found_in_every_form() -> None:
    readme = commands("README.md")
    assert any(c.startswith("inspect eval s1_eval/aime24") and "num_ignores" in c for c in readme)
    assert sum(c.startswith("s1-eval sweep") for c in readme) >= 2
    assert any(c.startswith("s1-eval compare runs/demo:") for c in readme)
    assert any("self_refine" in c and "max_model_len" in c for c in commands("docs/search.md"))
    assert any("--nothing" in c for c in _joined("s1-eval score \\\n  --nothing"))
    assert [is_code for is_code, _ in _parts("a\n\n    b\n\nc\n```x\nd\n```\ne")].count(True) == 2


@pytest.mark.slow
def test_every_python_snippet_runs(folder: Path, tmp_path: Path) -> None:
    found = []
    for document in DOCUMENTS:
        text = (ROOT / document).read_text("utf-8")
        found += re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert found
    for number, snippet in enumerate(found):
        program = tmp_path / f"snippet_{number}.py"
        program.write_text(snippet, "utf-8")
        done = forked.run(str(program), cwd=folder)
        assert done.returncode == 0, f"{snippet}\n{done.stderr}"


@pytest.mark.slow
def test_every_command_does_what_the_documents_say(folder: Path) -> None:
    done: dict[str, subprocess.CompletedProcess[str]] = {}
    for document in DOCUMENTS:
        for found in commands(document):
            command = demo() if DEMO in found else found
            if command not in done and not any(re.search(only, command) for only in ONLY_PARSED):
                done[command] = run(smaller(command), folder)
    failed = [
        f"{shlex.join(result.args)}\n{result.stdout or ''}{result.stderr[-1500:]}"
        for result in done.values()
        if result.returncode
    ]
    assert not failed, "\n\n".join(failed)
    assert len(done) > 15
