"""Readers of any run files, with what other people's logs leave out: how tokens are counted, and by
which grader answers are judged again. The files themselves are `s1_eval.records`' business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from s1_eval.answers import grader
from s1_eval.answers.cut import grade_ended
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import grader_of, open_grader
from s1_eval.evaluation.grading import judged
from s1_eval.records import Reader, SampleRow
from s1_eval.records.foreign import Told, parse_columns, parse_delimiters, parse_where
from s1_eval.records.foreign import readers as known
from s1_eval.records.foreign_rows import Grade


def readers(
    tell: Callable[[str], None],
    *,
    counted: bool = True,
    ungraded: bool = False,
    tokenizer: str | None = None,
    regrade: str | None = None,
    columns: Sequence[str] = (),
    where: Sequence[str] = (),
    delimiters: str | None = None,
    skip_bad: bool = False,
) -> tuple[Reader, ...]:
    """tell: told what should be known of the files. counted: the numbers of tokens are needed;
    without it a file need not tell them. ungraded: rows without a verdict are taken, see `Told`.
    The others are the options of `s1-eval score`.
    """
    count = _counter(tokenizer) if tokenizer else None
    return known(
        Told(
            columns=parse_columns(columns),
            where=parse_where(where),
            delimiters=None if delimiters is None else parse_delimiters(delimiters),
            count=count if counted or count else lambda _: 0,
            grade=_grader(regrade) if regrade else None,
            grade_as=_grade_as,
            ungraded=ungraded,
            skip_bad=skip_bad,
            tell=tell,
        )
    )


def _counter(model: str) -> Callable[[str], int]:
    from s1_eval.engines.checkpoints import load_tokenizer
    from s1_eval.engines.models import resolve_model

    try:
        tokenizer = load_tokenizer(resolve_model(model) if model == "nano" else model)
    except UserError as error:
        raise UserError(f"--tokenizer {model}: {str(error)[:300]}") from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def _grader(name: str) -> Grade:
    chosen = grader(name)
    checked: set[str] = set()

    def grade(response: str, target: str, cut: bool) -> tuple[bool, bool, str]:
        if target not in checked:
            chosen.check_target(target)
            checked.add(target)
        verdict = grade_ended(chosen, response, target, cut=cut)
        return verdict.correct, verdict.answered, verdict.answer

    return grade


def _grade_as(row: SampleRow, about: Mapping[str, Any]) -> Mapping[str, Any]:
    """The verdict on a row by the grader that our task left in an Inspect sample's metadata."""
    return judged(row, row["target"], open_grader(grader_of(about)), about["options"])
