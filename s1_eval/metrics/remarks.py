"""What a table has to say about a series besides its metrics: answers that were cut, thinking that
ended by end-of-sequence or went on after its end, special tokens in answers; and what helps."""

from __future__ import annotations

from collections.abc import Sequence

from s1_eval.metrics.audit import Audit
from s1_eval.metrics.entries import Remarks
from s1_eval.metrics.points import answers_at_once
from s1_eval.metrics.series import CAP, Series
from s1_eval.records import Run
from s1_eval.records.method_info import method_info

LONGER_CONTEXT = "load the model with a longer context"
AT_ONCE = "the model answers without thinking: these are the tokens of its answers"


def remarks(one: Series, audits: Sequence[Audit]) -> Remarks:
    """Sentences by the column that they belong to. audits: of the series' runs, in order."""
    answers = sum(a.answers for a in audits)
    at_once = [one.label(run) for run in one.runs if answers_at_once(run)]
    about_answers = []
    if cut := sum(a.cut["budget"] for a in audits):
        settings = sorted({_limit(run) for run in one.runs})
        about_answers.append(
            f"{cut} of {answers} answers were cut at their limit: raise {' or '.join(settings)}"
        )
    if cut := sum(a.cut["context"] for a in audits):
        less = "" if len(at_once) == len(one.runs) else f", or lower {CAP}"
        about_answers.append(
            f"{cut} of {answers} answers were cut by the end of the context: {LONGER_CONTEXT}{less}"
        )
    if special := sum(a.special_tokens for a in audits):
        about_answers.append(
            f"special tokens in answers, left out before grading: {special}; "
            "`s1-eval doctor` names end tokens that do not stop the model"
        )
    about_thinking = [
        f"{one.label(run)}: {a.exit_reasons['eos']} of {a.samples} thoughts ended by "
        "end-of-sequence, not by the end of thinking: is the thinking format the model's own?"
        for run, a in zip(one.runs, audits, strict=True)
        if 2 * a.thought_to_eos > a.samples
    ]
    if at_once:
        whose = "" if len(at_once) == len(one.runs) else f"{', '.join(at_once)}: "
        about_thinking.append(f"{whose}{AT_ONCE}")
    if leaked := sum(a.leaked for a in audits):
        about_thinking.append(
            f"thinking went on in {leaked} of {answers} answers, after it had been ended by force: "
            "ban_delimiters=true prevents it"
        )
    if thinking := sum(a.thinking_answers for a in audits):
        about_thinking.append(
            f"{thinking} of {answers} answers hold an end of thinking, in a run that was told of "
            "none: their thinking was counted and graded as answer; `s1-eval doctor` shows what "
            "the template says, and thinking_format=… tells the delimiters"
        )
    return {"unanswered": about_answers, "thinking_tokens": about_thinking}


def _limit(run: Run) -> str:
    """The setting that limits a run's answers, with its value."""
    name = method_info(run).answer_limit or "max_answer_tokens"
    names = [name]
    if answers_at_once(run):
        # Without thinking, the cap on it is the answer's, too: the lower of the two holds.
        limits = {key: run.params.get(key) for key in (CAP, name)}
        given = {key: value for key, value in limits.items() if isinstance(value, int)}
        names = [key for key, value in given.items() if value == min(given.values())] or names
    values = {key: run.params.get(key) for key in names}
    return " and ".join(k if v is None else f"{k}={v}" for k, v in values.items())
