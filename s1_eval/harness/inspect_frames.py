"""Our sample records as columns of Inspect's data frames."""

from __future__ import annotations

from typing import Any

from inspect_ai.analysis import SampleColumn
from inspect_ai.log import EvalSample, EvalSampleSummary

from s1_eval.records.readers import KEY

__all__ = ["RECORD"]


_THEIRS = frozenset({"sample_id", "epoch", "target"})


def _record(sample: EvalSample | EvalSampleSummary) -> dict[str, Any]:
    """The fields of a sample's record that are one value each, but for those that Inspect has under
    the same names; none without a record."""
    for score in (sample.scores or {}).values():
        row = (score.metadata or {}).get(KEY)
        if isinstance(row, dict):
            return {
                k: v for k, v in row.items() if k not in _THEIRS and not isinstance(v, dict | list)
            }
    return {}


RECORD = SampleColumn("*", path=_record, full=True)
"""For `samples_df(logs, columns=[*SampleSummary, RECORD])`: every field of the record is a column
under its own name."""
