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
        {"prompting": {"system": "Be brief."}},
        {"prompting": {"until": ["."]}},
        {"prompting": {"chat_template_sha256": "1"}},
        {"prompting": {"template_date": "2031-07-09"}},
        {"engine_settings": {"kv_cache_dtype": "fp8"}},
        {"engine_settings": {"hf_overrides": {"rope_scaling": {"factor": 2}}}},
        {"engine_settings": {"base_url": ["http://b/v1"]}},
        {"verifier": {"model": "nano-prm"}},
        {"versions": {"transformers": "5.20.0"}},
    ],
)
def test_whatever_determines_a_run_changes_its_id(change):
    record = runs.record(**change)
    assert record["run_id"] != runs.record()["run_id"]
    [(name, (old, new))] = differences(runs.record(), record).items()
    assert name.split(".")[0] == next(iter(change))
    assert old != new


def test_a_setting_that_is_gone_parts_no_runs():
    params = runs.record()["method_params"]
    older = runs.record(method_params={**params, "forcing": "continue"})
    assert differences(older, runs.record()) == {}
    inside = runs.record(method_params={**params, "forcing": "engine"})
    assert differences(inside, runs.record()) == {"method_params.forcing": ("engine", None)}


def test_tuples_become_lists_so_that_a_record_equals_itself_read_back():
    record = runs.record(method_params={"until_thinking": ("a", "b")})
    assert record["method_params"] == {"until_thinking": ["a", "b"]}


def test_when_and_where_a_run_ran_is_no_part_of_what_it_is():
    there = {"started": "2031-07-09T00:00:00+00:00", "hardware": [{"cpu": "x"}], "secret": True}
    assert runs.record(**there)["run_id"] == runs.record()["run_id"]


@pytest.mark.parametrize(
    ("name", "strictness"),
    [
        ("integer", {}),
        ("integer", {"maximum": 9}),
        ("choice", {"letters": "ABC"}),
        ("math", {"tolerance": "1/10", "order": "all"}),
    ],
)
def test_a_recorded_grader_can_be_opened_again(name, strictness):
    from s1_eval.evaluation.benchmark import grader_data, open_grader

    data = json.loads(json.dumps(grader_data(open_grader({"name": name, **strictness}))))
    assert grader_data(open_grader(data)) == data
    assert strictness.keys() < data.keys()
    other = grader_data(open_grader({"name": name}))
    assert (other == data) is (not strictness)


def test_an_older_record_is_read_and_its_run_is_not_gone_on_with(tmp_path):
    from s1_eval.errors import UserError
    from s1_eval.records import RunWriter, recorded_grader

    new = runs.record()
    old = {key: value for key, value in new.items() if key not in ("grader", "prompting")}
    old |= {"checker": "IntegerGrader(minimum=0, maximum=999)"}
    validate_run(old)
    assert recorded_grader(old) == old["checker"]
    (tmp_path / "run.json").write_text(json.dumps(old))
    with pytest.raises(UserError, match="can be scored but not gone on with: choose another --out"):
        RunWriter(tmp_path, new)


def test_a_resumed_run_keeps_its_start_and_names_every_machine(tmp_path):
    from s1_eval.records import RunWriter

    for started, cpu in (("1", "a"), ("2", "b"), ("3", "a")):
        with RunWriter(tmp_path, runs.record(started=started, hardware=[{"cpu": cpu}])):
            pass
    there = json.loads((tmp_path / "run.json").read_text())
    assert (there["started"], there["hardware"]) == ("1", [{"cpu": "a"}, {"cpu": "b"}])
