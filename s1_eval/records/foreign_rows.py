"""One row of other people's results as a sample record: its text split, its tokens counted, its
verdict taken or made. Which fields a file gives stands in `foreign`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, get_args

from s1_eval.errors import UserError
from s1_eval.records.sample import SAMPLE_FIELDS, SHARED_FIELDS, SampleRow, as_row
from s1_eval.records.schema import fits, validate_sample
from s1_eval.records.transcripts import S1, Marks, Parts, split
from s1_eval.thinking import CUT, AnswerExit

Given = dict[str, Any]
"""What a row of someone else's file gives: fields of the sample record, texts (`_TEXTS`), and
settings of the method, by name. It is used up while the row is made of it."""

CAP = "max_thinking_tokens"
NTH = "nth"
"""An epoch that stands for the row's place among the rows of its question."""

_TEXTS = ("thinking", "response", "transcript", "prompt")
_COUNTS = ("thinking_tokens", "answer_tokens", "generated_tokens")
READ = ("prompt_tokens", "cached_tokens")
"""What a file may tell of the model's input."""
REPEATED = frozenset({*_TEXTS[:3], *_COUNTS, "correct", "answered", "answer", "exit_reason"})
"""What a row may have a list of: one entry for each time that the question was asked."""
LABELS = "what the task says of the question"
"""Of a task of ours: fields of the row, `metadata` for one."""

ENDED = "ended by"
"""What is given of a sample that an error or a limit ended, for its record. No column's name."""

_INEXACT = 0.02
"""Share of a limit by which a count made from text may miss what the model itself counted."""

Count = Callable[[str], int]
Grade = Callable[[str, str, bool], tuple[bool, bool, str]]
"""(correct, answered, answer) of a response, its target, and whether a limit cut the response.
Raises UserError on a target that it can't read."""


@dataclass(slots=True)
class File:
    """What a file as a whole shows. marks: the delimiters of its texts. thinks: a row has thinking
    in a field of its own. apart_closes: such a field ends with the end delimiter."""

    marks: Marks | None = None
    thinks: bool = False
    apart_closes: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A row. nth: its epoch is its place among the rows of its question. cut: its thinking lacks
    its end."""

    row: SampleRow
    nth: bool
    cut: bool


def each_epoch(given: Given, where: str, graded: bool) -> list[Given]:
    """One row's fields, once for each repeat; none of a row that is not wanted. Lists are one entry
    for each repeat."""
    if not given:
        return []
    lists = {n: v for n, v in given.items() if n in REPEATED and isinstance(v, list)}
    if not lists:
        return [given]
    lengths = {name: len(value) for name, value in lists.items()}
    count = next(iter(lengths.values()))
    if set(lengths.values()) != {count} or not count:
        sizes = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UserError(
            f"{where} has lists of different or no length ({sizes}): name one entry, e.g. "
            "--columns transcript=COLUMN.0"
        )
    if count == 1:
        return [given | {name: value[0] for name, value in lists.items()}]
    single = [
        name
        for name in given
        if name in REPEATED - lists.keys() and not (graded and name == "correct")
    ]
    if single or not (graded or "correct" in lists):
        raise UserError(
            f"{where} has {count} repeats and not as many of {', '.join(single) or 'correct'}: "
            "add --regrade GRADER to grade each, or name columns with one entry for each, e.g. "
            "--columns correct=COLUMN"
        )
    if "epoch" in given or "epoch0" in given:
        raise UserError(f"{where} has {count} repeats and an epoch: leave out the column epoch")
    rest = {n: v for n, v in given.items() if n in lists or n not in REPEATED}
    return [
        rest | {name: value[i] for name, value in lists.items()} | {"epoch": i + 1}
        for i in range(count)
    ]


def make_row(
    given: Given,
    where: str,
    harness: str,
    file: File,
    count: Count | None = None,
    grade: Grade | None = None,
    ungraded: bool = False,
) -> Made:
    """A row of what is given. A given `most_tokens` limits everything that was generated. count,
    grade, ungraded: see `foreign.Told`.

    Beyond `SAMPLE_FIELDS`: `answer_exit`, `most_tokens`, `recounted` (thinking was counted here),
    `forced_end` (the text shows it), `recorded_correct` (the verdict of the file where ours is
    another's), `error` or `limit`.
    Raises UserError that names what is missing and the option that tells it.
    """
    most = _limit(given.pop("most_tokens", None), "most_tokens", where)
    ended, stop = given.pop(ENDED, {}), given.pop("answer_exit", None)
    labels = given.pop(LABELS, {})
    question = as_text(given.pop("question", None)) or as_text(given.get("prompt"))
    if stop is not None and stop not in get_args(AnswerExit):
        raise UserError(
            f"{where}: answer_exit is {stop!r:.60}, not one of {', '.join(get_args(AnswerExit))}"
        )
    parts = _parts(given, file, where)
    extra: dict[str, Any] = {} if most is None else {"most_tokens": most}
    for name in READ:
        if name in given:
            extra[name] = as_whole(given.pop(name), name, where)
    if recounted := _count(given, parts, count, where):
        extra["recounted"] = True
    counts = {name: as_whole(given[name], name, where) for name in _COUNTS}
    _check_counts(counts, given, where)
    least = 1 - _INEXACT if recounted else 1
    if most is not None and counts["generated_tokens"] >= least * most:
        stop = "budget"
    cut = parts.closed is False and not ended
    if stop and not cut and parts.response.strip():
        extra["answer_exit"] = stop
    if not ended:
        if ungraded and grade is None and not cut and given.get("correct") is None:
            given |= {**ungraded_verdict(parts.response), "answer": given.get("answer", "")}
        else:
            extra |= give_verdict(given, parts.response, stop in CUT, grade, where, no_answer=cut)
    if parts.forced:
        extra["forced_end"] = True
    said = as_text(given.get("exit_reason"))
    if not said or (said == "natural" and (cut or parts.forced)):
        given["exit_reason"] = _exit(parts, counts, given, stop, least, file.marks == S1)
    names = ("model", "task", "method", "sample_id")
    if missing := [name for name in names if not as_text(given.get(name))]:
        raise UserError(_missing(where, missing))
    epoch = _epoch(given, where)
    nth = epoch is None
    row = {
        "harness": harness,
        "engine": "not recorded",
        **{name: as_text(given[name]) for name in names},
        "method_params": {n: as_number(v) for n, v in given.items() if n not in SAMPLE_FIELDS},
        "budget": _limit(given.get("budget"), "budget", where),
        "epoch": 1 if epoch is None else epoch,
        "target": as_text(given.get("target", "")),
        "answer": as_text(given.get("answer", "")),
        "correct": given["correct"],
        "answered": given["answered"],
        "exit_reason": as_text(given["exit_reason"]),
        "verifier_tokens": 0,
        "seconds": as_number(given.get("seconds")),
        "seed": None,
        "response": parts.response,
        **counts,
        **{
            name: as_whole(given.get(name, 0), name, where)
            for name in ("forced_tokens", "num_ignores_used")
        },
        **({"question": question} if question else {}),
        **({"thinking": parts.thinking} if parts.thinking else {}),
        **labels,
        **extra,
        **ended,
    }
    shared = [row[name] for name in SHARED_FIELDS if name != "run_id"]
    row["run_id"] = hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:12]
    if not fits(row):
        validate_sample(row, where)
    return Made(as_row(row), nth, cut)


def _epoch(given: Given, where: str) -> int | None:
    from_0 = given.pop("epoch0", None)
    if from_0 is not None:
        return as_whole(from_0, "epoch0", where) + 1
    epoch = given.get("epoch", 1)
    if epoch == NTH:
        return None
    epoch = as_whole(epoch, "epoch", where)
    if epoch == 0:
        raise UserError(
            f"{where}: epoch is 0, and epochs count from 1: if the column counts from 0, write "
            "--columns epoch0=COLUMN instead of epoch=COLUMN"
        )
    return epoch


def _parts(given: Given, file: File, where: str) -> Parts:
    """Thinking and response, from one text or from two. Raises UserError where the row has no
    thinking and nothing says that there was none."""
    texts = {name: given.pop(name, None) for name in _TEXTS}
    for name, value in texts.items():
        if not isinstance(value, str | None):
            raise UserError(f"{where}: {name} is {value!r:.60}, not a text")
    thinking, prompt = texts["thinking"] or "", texts["prompt"] or ""
    one = texts["transcript"]
    response = (texts["response"] if one is None else one) or ""
    if thinking.strip():
        return _apart(thinking, response, file)
    if file.marks and (one is not None or not file.thinks):
        return split(response, file.marks, prompt)
    if not file.thinks and "thinking_tokens" not in given:
        raise UserError(
            f"{where}: the file shows no thinking, neither delimiters nor a text or count of it: "
            "add --columns thinking_tokens=COLUMN, or thinking=COLUMN and --tokenizer MODEL; or "
            "--delimiters START...END, and what lacks the end is cut; or --delimiters none if the "
            "model does not think"
        )
    return Parts("", response, None)


def _apart(thinking: str, response: str, file: File) -> Parts:
    """Of thinking that has a field of its own, with its end in it or not."""
    if file.marks and file.apart_closes:
        if not file.marks.closed_by(thinking):
            return Parts(thinking, "", False)
        return replace(split(thinking, file.marks), response=response, closed=True)
    return Parts(thinking, response, None if response.strip() else False)


def _count(given: Given, parts: Parts, count: Count | None, where: str) -> bool:
    """Token counts of what has a text and no count. True where thinking was counted here."""
    recounted = "thinking_tokens" not in given
    for name, text in (("thinking_tokens", parts.thinking), ("answer_tokens", parts.response)):
        if name in given:
            continue
        if count is None:
            raise UserError(
                f"{where} does not say {name}: add --tokenizer MODEL to count them, or "
                f"--columns {name}=COLUMN"
            )
        given[name] = count(text)
    if "generated_tokens" not in given:
        given["generated_tokens"] = sum(as_whole(given[n], n, where) for n in _COUNTS[:2])
    return recounted


def _check_counts(counts: Mapping[str, int], given: Mapping[str, Any], where: str) -> None:
    thinking, generated = counts["thinking_tokens"], counts["generated_tokens"]
    forced = given.get("num_ignores") or given.get("num_ignores_used")
    if thinking > generated and not forced:  # ignore strings are thinking and not generated
        raise UserError(
            f"{where}: {thinking} thinking tokens of {generated} generated ones: thinking_tokens "
            "is part of generated_tokens, so name a column that holds both, or leave "
            "generated_tokens out to have thinking and answer added up"
        )


def _exit(
    parts: Parts,
    counts: Mapping[str, int],
    given: Mapping[str, Any],
    stop: str | None,
    least: float,
    fork: bool,
) -> str:
    """Why thinking ended, as far as text, counts and limits show it. stop: why all of the text
    ended. least: the share of a limit from which on it may have been reached. fork: the text is in
    the s1 fork's format."""
    if parts.closed is None:
        return "unknown"
    cap = as_number(given.get(CAP, given.get("budget")))
    thinking = counts["thinking_tokens"]
    reached = type(cap) is int and thinking >= least * cap
    if not parts.closed:
        return "budget" if reached else stop if stop in CUT else "unknown"
    if parts.forced:
        # The fork writes its nudge at a forced end alone; other models may write it themselves.
        if reached or (fork and type(cap) is int):
            return "budget"
        return "context" if fork and cap == "auto" else "unknown"
    if reached and (CAP in given or given.get("method") == "budget_forcing"):
        return "budget" if thinking >= cap else "unknown"
    return "natural"


def give_verdict(
    given: Given,
    response: str,
    cut: bool,
    grade: Grade | None,
    where: str,
    no_answer: bool = False,
) -> Mapping[str, bool]:
    """Fills in the verdict. The verdict of the file itself, where it is another's. cut: a limit cut
    the response. no_answer: thinking was cut, which has no answer, whatever stands in it."""
    recorded: dict[str, bool] = {}
    if given.get("correct") is not None and (grade or no_answer):
        with suppress(UserError):  # not needed
            recorded["recorded_correct"] = as_truth(given["correct"], "correct", where)
    target = given.get("target")
    if isinstance(target, list) and len(target) == 1:
        target = given["target"] = target[0]
    if grade is not None:
        if not as_text(target).strip() or isinstance(target, list):
            raise UserError(
                f"{where} has no single target to grade by: add --columns target=COLUMN"
            )
        try:
            verdict = grade("" if no_answer else response, as_text(target), cut)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        given["correct"], given["answered"], given["answer"] = verdict
        return recorded
    if no_answer:
        given["correct"], given["answered"], given["answer"] = False, False, ""
        return recorded
    if "correct" not in given:
        raise UserError(
            f"{where} does not say which answers are right: add --regrade GRADER, or "
            "--columns correct=COLUMN, or correct=COLUMN:VALUE"
        )
    given["correct"] = as_truth(given["correct"], "correct", where)
    if "answered" in given:
        given["answered"] = as_truth(given["answered"], "answered", where)
    elif "answer" in given:
        given["answered"] = bool(as_text(given["answer"]))
    elif given["correct"]:
        given["answered"] = True
    else:
        raise UserError(
            f"{where} does not say whether a wrong answer is one at all: add --regrade GRADER, "
            "or --columns answered=COLUMN or answer=COLUMN"
        )
    return recorded


def ungraded_verdict(response: str) -> Given:
    """What stands for a verdict that nobody gave."""
    return {"correct": None, "answered": bool(response.strip()), "answer": ""}


def _missing(where: str, names: Sequence[str]) -> str:
    options = " ".join(
        "sample_id=COLUMN" if name == "sample_id" else f"{name}==NAME" for name in names
    )
    return f"{where} does not say its {', '.join(names)}: add --columns {options}"


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def as_number(value: Any) -> Any:
    """A number that a file's name or a CSV cell spells, as the number."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value) else value


def _limit(value: Any, name: str, where: str) -> int | None:
    return None if value is None else as_whole(value, name, where)


def as_whole(value: Any, name: str, where: str) -> int:
    number = as_number(value)
    if isinstance(number, str) and re.fullmatch(r"\d{1,15}\.0+", number):
        number = float(number)  # as tables with gaps spell whole numbers
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if type(number) is not int:
        raise UserError(f"{where}: {name} is {value!r:.100}, not a whole number")
    return number


def as_truth(value: Any, name: str, where: str) -> bool:
    if isinstance(value, int | float) and not math.isnan(value) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false", "0", "1"):
        return value.lower() in ("true", "1")
    raise UserError(
        f"{where}: {name} is {value!r:.100}, neither true nor false: say which values are, e.g. "
        f"--columns {name}=COLUMN:yes"
    )
