"""A run record determines its id, and the id nothing but what determines the run."""

import json
import platform

import pytest
import runs

import s1_eval
from s1_eval.records import differences, run_id, validate_run


def test_the_record_is_valid_plain_json():
    record = runs.record(planned_samples=30, note="kept")
    assert json.loads(json.dumps(record)) == record
    validate_run(record)
    assert record["note"] == "kept"


def test_versions_of_python_and_of_this_package_are_filled_in():
    versions = runs.record()["versions"]
    assert versions == {
        "python": platform.python_version(),
        "s1_eval": s1_eval.__version__,
        "transformers": "5.19.0",
    }


def test_the_same_run_has_the_same_id_however_its_command_is_spelled():
    assert runs.record(command=["a"])["run_id"] == runs.record(command=["b"])["run_id"]
    assert runs.record()["run_id"] == run_id(json.loads(json.dumps(runs.record())))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"method_params": {"num_ignores": 1}},
        {"sampling": {"temperature": 1.0, "top_p": 1.0, "top_k": 0}},
        {"seed": 1},
        {"dtype": "bfloat16"},
        {"weights_fingerprint": "1"},
        {"dataset": {"id": "toy", "revision": "abc", "fingerprint": "f"}},
        {"grader": {"name": "math"}},
        {"versions": {"transformers": "5.20.0"}},
    ],
)
def test_whatever_determines_a_run_changes_its_id(change):
    record = runs.record(**change)
    assert record["run_id"] != runs.record()["run_id"]
    [(name, (old, new))] = differences(runs.record(), record).items()
    assert name.split(".")[0] == next(iter(change))
    assert old != new


def test_tuples_become_lists_so_that_a_record_equals_itself_read_back():
    record = runs.record(method_params={"until_thinking": ("a", "b")})
    assert record["method_params"] == {"until_thinking": ["a", "b"]}
