"""What answers hold that their graded text does not show: special tokens, thinking that went on
after it had been ended by force, and thinking that nobody said there would be."""

from __future__ import annotations

from collections.abc import Iterable

from s1_eval.methods.chain import ends_by_force
from s1_eval.methods.policy import Policy
from s1_eval.thinking import FORMATS, Outcome, Trace


def answer_counts(policy: Policy, outcome: Outcome, nudge_after_eos: bool) -> dict[str, int]:
    """Fields of the sample record, over the chosen traces.

    answer_special_tokens: ids in answers that the graded text leaves out. leaked: answers in
    which thinking went on after a forced end. thinking_answers: answers that hold the end of
    thinking of some known format, where the run's format has none.
    """
    chosen = [outcome.traces[i] for i in outcome.chosen]
    return {
        "answer_special_tokens": sum(_hidden(policy, trace) for trace in chosen),
        "leaked": sum(leaks(policy, trace, nudge_after_eos) for trace in chosen),
        "thinking_answers": sum(_thinks_untold(policy, trace) for trace in chosen),
    }


def leaks(policy: Policy, trace: Trace, nudge_after_eos: bool) -> bool:
    """Whether a forced end did not hold: the answer has a thinking delimiter in it."""
    if not ends_by_force(trace.exit_reason, nudge_after_eos):
        return False
    text = trace.text(policy.decode, "answer")
    return any(delimiter in text for delimiter in _delimiters(policy))


def _delimiters(policy: Policy) -> Iterable[str]:
    format = policy.delimiters.format
    return filter(None, (format.start.strip(), format.end.strip()))


_ENDS = tuple({format.end.strip() for format in FORMATS.values() if format.end})


def _thinks_untold(policy: Policy, trace: Trace) -> bool:
    if policy.delimiters.format.end:
        return False
    text = trace.text(policy.decode, "answer")
    return any(end in text for end in _ENDS)


def _hidden(policy: Policy, trace: Trace) -> int:
    ids = trace.ids("answer")
    if policy.decode(ids) == policy.decode_plain(ids):
        return 0
    special = {id for id in set(ids) if policy.hides(id)}
    return sum(id in special for id in ids)
