"""`s1-train traces`: a teacher's thinking and answer for every question, through any engine. The
cost is shown before anything is asked; what is there already is not asked again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from s1_eval.errors import UserError
from s1_eval.evaluation.run import Run
from s1_eval.training.curation import sources
from s1_eval.training.curation.asking import (
    Answers,
    Asking,
    Price,
    ask_with_bar,
    longest,
    prompt_length,
)
from s1_eval.training.curation.question import question_id


def questions(path: Path) -> Iterator[tuple[str, str]]:
    """(id, question) of a .json, .jsonl or .parquet file with a column `question`; without a
    column `id`, a hash of the text. Raises UserError on anything else."""
    for number, row in enumerate(sources.file_rows(sources.local(str(path))), 1):
        if not row.get("question"):
            raise UserError(
                f"{path}, row {number} has no column 'question': there are {', '.join(row)}"
            )
        text = str(row["question"])
        yield str(row.get("id") or question_id(path.stem, text)), text


def estimate(run: Run, prompts: Mapping[str, str], price: Price) -> str:
    """What is still to be asked and what that costs: prompt tokens are exact, generated ones the
    most there can be, if every answer takes all it may."""
    lengths = [prompt_length(run, text) for text in prompts.values()]
    asked, most = sum(lengths), sum(longest(run, length) for length in lengths)
    told = f"{len(lengths):,} questions, {asked:,} prompt tokens, at most {most:,} generated tokens"
    if price.generated is not None:
        told += f", at most {_money(price.of(asked, most))}"
    if price.most is not None:
        told += f"; stops before {_money(price.most)} is spent"
    return told


def write(
    asking: Asking,
    prompts: Mapping[str, str],
    out: Path,
    *,
    price: Price,
    concurrency: int,
    confirm: bool,
) -> int:
    """Appends what is missing to `out`. 0 where nothing is missing any more, else 1.

    confirm: ask before it starts, where a person is there to answer.
    """
    if concurrency < 1:
        raise UserError(f"--concurrency {concurrency}: give 1 or more")
    with Answers(out, asking.about()) as answers:
        todo = {id: text for id, text in prompts.items() if id not in answers.done}
        _say(f"{out}: {len(prompts) - len(todo):,} of {len(prompts):,} questions have a trace")
        if not todo:
            return 0
        engine = asking.open()
        try:
            run = asking.run(engine)
            _say(estimate(run, todo, price))
            if confirm and sys.stdin.isatty() and input("Start? [y/N] ").lower() != "y":
                return 1
            left = ask_with_bar("traces", run, todo, answers, concurrency, price)
        finally:
            engine.close()
    if left.failed:
        _say(f"{left.failed:,} failed, the first with: {left.first}")
    if left.failed or left.unasked:
        _say(f"{left.failed + left.unasked:,} are left: the same command goes on from there")
        return 1
    return 0


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}"


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
