"""What has to be said beside the figures of a series: answers that are missing, rows that are
missing, and what the records could not tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from s1_eval.records import OwnRow, Run
from s1_eval.records.dates import first_day, is_date, last_day
from s1_eval.records.method_info import method_info

UNANSWERED = 0.05
"""Share of a run's samples without an answer from which on it is said aloud."""

_OFF = 1.02
"""A count made from text again may be off by that; beyond, it is not the model's."""

Label = Callable[[Run], str]


def gaps(run: Run) -> tuple[int, str]:
    """How many rows a run lacks to have every epoch of every question, and a few of them."""
    have = {(row["sample_id"], row["epoch"]) for row in run.rows}
    have |= {each.key for each in run.failed}
    ids = sorted({id for id, _ in have})
    epochs = sorted({epoch for _, epoch in have})
    missing = len(ids) * len(epochs) - len(have)
    if not missing:
        return 0, ""
    lacking = [(i, e) for i in ids for e in epochs if (i, e) not in have]
    shown = ", ".join(f"{id!r:.40} epoch {epoch}" for id, epoch in lacking[:3])
    return missing, shown + (", …" if missing > 3 else "")


def control(runs: Sequence[Run], label: Label) -> Iterator[str]:
    """What Control could not see."""
    samples = sum(len(run.rows) for run in runs)
    unknown = sum(row["exit_reason"] == "unknown" for run in runs for row in run.rows)
    if unknown:
        yield (
            f"why thinking ended is unknown for {unknown} of {samples} samples: what a limit cut "
            "there can't be seen"
        )
    forced = sum(bool(row.get("forced_end")) for run in runs for row in run.rows)
    if forced:
        yield f"the text of {forced} of {samples} samples shows that the end was forced"
    for run in runs:
        beyond = [share for row in run.rows if (share := _share(run, row)) > _OFF]
        if beyond:
            yield (
                f"{label(run)}: {len(beyond)} of {len(run.rows)} samples were counted at more "
                f"tokens than their limit allows, up to {max(beyond):.0%} of it: --tokenizer is "
                "not the model's, or the limit was not kept"
            )


def _share(run: Run, row: OwnRow) -> float:
    """The share of its limits that a text uses by a count of our own; 0 where it was not ours."""
    if not row.get("recounted"):
        return 0
    most = row.get("most_tokens")
    generated = row["generated_tokens"] / most if most else 0
    info = method_info(run)
    enforced = info.forces and info.asks is None
    return max(generated, row["thinking_tokens"] / run.budget if enforced and run.budget else 0)


def performance(runs: Sequence[Run], label: Label) -> Iterator[str]:
    """What the accuracies leave out."""
    shares = {label(r): sum(not row["answered"] for row in r.rows) / len(r.rows) for r in runs}
    said = [f"{share:.1%} ({name})" for name, share in shares.items() if share > UNANSWERED]
    if said:
        yield f"samples without an answer count as wrong: {', '.join(said)}"
    for run in runs:
        if copies := sum(bool(row.get("copy")) for row in run.rows):
            yield (
                f"{label(run)}: {copies} of {len(run.rows)} samples are copies, since greedy "
                "decoding gives every epoch of a question the same answer: they say nothing more"
            )
    for run in runs:
        graded = [row for row in run.rows if "recorded_correct" in row]
        pairs = Counter((row["recorded_correct"], row["correct"]) for row in graded)
        if differ := pairs[True, False] + pairs[False, True]:
            yield (
                f"{label(run)}: {differ} of {len(graded)} verdicts differ from the file's own "
                f"({pairs[True, False]} right there alone, {pairs[False, True]} here alone)"
            )


def dates(runs: Sequence[Run]) -> Iterator[str]:
    """Whether the model may have learned from the questions: which were public when it was
    released. A date that is less exact than a day is taken for what it may be."""
    said: dict[str, None] = {}
    for run in runs:
        released, own = run.record.get("released"), run.record.get("published")
        public = {row["sample_id"]: row.get("published") or own for row in run.rows}
        dated = [text for text in public.values() if text and is_date(text)]
        if released is None or not is_date(released):
            continue
        older = [text for text in dated if first_day(text) <= last_day(released)]
        if not older:
            continue
        span = dict.fromkeys((min(older, key=first_day), max(older, key=last_day)))
        which = "its" if len(older) == len(public) else f"{len(older)} of the {len(public)}"
        note = (
            f"the model was released {released}, when {which} questions were public "
            f"({' to '.join(span)}): it may have learned from them"
        )
        said[note] = None
    yield from said


def missing(runs: Sequence[Run], label: Label) -> Iterator[str]:
    """What no figure saw. Rows are never taken to be missing at random: a sample that ran out of
    memory or time is no ordinary one."""
    for run in runs:
        count, shown = gaps(run)
        if count:
            yield f"{label(run)}: {count} of {count + len(run.rows)} rows are missing ({shown})"
        if failed := run.failed:
            few = "; ".join(map(str, failed[:3])) + ("; …" if len(failed) > 3 else "")
            yield (
                f"{label(run)}: {len(failed)} of {len(failed) + len(run.rows)} samples failed and "
                f"are in no figure ({few}); the command that made the run asks them again"
            )
        left_out = left_out_of(run)
        if left_out:
            yield f"{label(run)}: {left_out} unreadable rows were left out"


def lacking(run: Run) -> int:
    """How many rows a run lacks: never written, failed, or not readable."""
    return gaps(run)[0] + len(run.failed) + left_out_of(run)


def partial(run: Run) -> list[str]:
    """Why a run is not the whole benchmark, for those who see its figures alone."""
    asked = len({row["sample_id"] for row in run.rows})
    said = []
    if unasked := run.record.get("unasked"):
        said.append(f"{asked} of the {asked + unasked} questions were asked")
    elif set(run.record.get("command", ())) & {"--limit", "-L", "--sample-id", "--samples"} and (
        run.record["harness"] != "s1-eval"
    ):
        said.append("the command may have asked a part of the questions")
    if few := lacking(run):
        said.append(f"{few} of {few + len(run.rows)} rows are missing")
    return said


def left_out_of(run: Run) -> int:
    """Rows that could not be read and were skipped at the user's word."""
    skipped: int = sum(row.get("left_out", 0) for row in (run.record, *run.rows))
    return skipped
