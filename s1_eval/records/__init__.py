"""One row per question, epoch and run; one run record per run; writing and reading them."""

from s1_eval.records.located import Located, Reader
from s1_eval.records.readers import (
    NOTHING_LEFT,
    READERS,
    LeaveOut,
    Run,
    collect,
    read_rows,
    read_runs,
    readable,
    refuse,
)
from s1_eval.records.run import (
    ASKED,
    IDENTITY,
    Dataset,
    RunRecord,
    differences,
    flatten,
    held_fields,
    recorded_grader,
    run_id,
    run_record,
)
from s1_eval.records.sample import (
    SAMPLE_FIELDS,
    SHARED_FIELDS,
    OwnRow,
    SampleRow,
    sample_row,
    solved_fields,
)
from s1_eval.records.schema import validate_run, validate_sample
from s1_eval.records.store import RunWriter

__all__ = [
    "ASKED",
    "IDENTITY",
    "NOTHING_LEFT",
    "READERS",
    "SAMPLE_FIELDS",
    "SHARED_FIELDS",
    "Dataset",
    "LeaveOut",
    "Located",
    "OwnRow",
    "Reader",
    "Run",
    "RunRecord",
    "RunWriter",
    "SampleRow",
    "collect",
    "differences",
    "flatten",
    "held_fields",
    "read_rows",
    "read_runs",
    "readable",
    "recorded_grader",
    "refuse",
    "run_id",
    "run_record",
    "sample_row",
    "solved_fields",
    "validate_run",
    "validate_sample",
]
