"""The published schema accepts what we write and names what is wrong with anything else."""

import copy
import json
from typing import get_type_hints

import jsonschema
import pytest
import runs
from hypothesis import given, settings
from hypothesis import strategies as st

from s1_eval.errors import UserError
from s1_eval.records import (
    SAMPLE_FIELDS,
    SHARED_FIELDS,
    RunRecord,
    SampleRow,
    validate_run,
    validate_sample,
)
from s1_eval.records.schema import fits, schema

OWN_FIELDS = [field for field in SAMPLE_FIELDS if field not in SHARED_FIELDS]

json_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**54),
    st.floats(allow_nan=True),
    st.text(max_size=5),
    st.just("budget"),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


def test_the_schema_is_itself_valid():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_required_fields_are_the_sample_fields():
    assert tuple(schema()["$defs"]["sample"]["required"]) == SAMPLE_FIELDS


def test_the_types_name_every_field_of_the_schema():
    published = {kind: schema()["$defs"][kind]["properties"].keys() for kind in ("sample", "run")}
    assert published["sample"] <= get_type_hints(SampleRow).keys()
    assert published["run"] <= get_type_hints(RunRecord).keys()


def test_unknown_keys_are_allowed():
    validate_sample({**runs.row(runs.record()), "votes": [3, 1]})
    validate_run({**runs.record(), "cluster": "eight nodes"})


@pytest.mark.parametrize("field", SAMPLE_FIELDS)
def test_a_missing_field_is_named(field):
    row = runs.row(runs.record())
    del row[field]
    with pytest.raises(UserError, match=f"^here: '{field}' is a required property"):
        validate_sample(row, "here")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("thinking_tokens", -1),
        ("thinking_tokens", "5"),
        ("thinking_tokens", 5.0),
        ("thinking_tokens", True),
        ("thinking_tokens", 2**60),
        ("correct", 1),
        ("exit_reason", "stop"),
        ("exit_reason", ["natural"]),
        ("epoch", 0),
        ("budget", 0),
        ("seconds", float("inf")),
        ("run_id", "short"),
        ("model", "\x1b[31mred"),
        ("model", "two\nlines"),
        ("method", "\u202eforged"),
        ("method_params", []),
    ],
)
def test_a_wrong_value_is_refused_by_name(field, value):
    row = {**runs.row(runs.record()), field: value}
    with pytest.raises(UserError, match=f"^sample record: {field}: ") as caught:
        validate_sample(row)
    assert str(caught.value).isprintable()


def test_messages_stay_short_whatever_the_file_holds():
    with pytest.raises(UserError) as caught:
        validate_sample({**runs.row(runs.record()), "correct": "x" * 10**6})
    assert len(str(caught.value)) < 500


def test_a_run_without_its_versions_is_refused():
    record = copy.deepcopy(runs.record())
    del record["versions"]["python"]
    with pytest.raises(UserError, match="versions: 'python'"):
        validate_run(record)


@settings(deadline=None)
@given(field=st.sampled_from(OWN_FIELDS), value=json_values)
def test_the_quick_check_agrees_with_the_schema(field, value):
    row = {**runs.row(runs.record()), field: value}
    try:
        validate_sample(row)
        valid = True
    except UserError:
        valid = False
    assert fits(row) == (valid and value == value)  # NaN never gets past the JSON reader


def test_the_quick_check_misses_no_absent_field():
    for field in OWN_FIELDS:
        row = runs.row(runs.record())
        del row[field]
        assert not fits(row)


def test_rows_survive_json():
    row = runs.row(runs.record(), with_traces=True)
    validate_sample(json.loads(json.dumps(row)))
