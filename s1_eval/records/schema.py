"""The published JSON Schema of the records (`schema.json`) and validation against it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, cast

from s1_eval.errors import UserError
from s1_eval.json_lines import JsonObject
from s1_eval.records.run import RunRecord
from s1_eval.records.sample import SAMPLE_FIELDS, SHARED_FIELDS, SampleRow

_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
}


@functools.cache
def schema() -> JsonObject:
    """The published schema, with `sample` and `run` under `$defs`."""
    text = resources.files("s1_eval.records").joinpath("schema.json").read_text("utf-8")
    loaded: JsonObject = json.loads(text)
    return loaded


def validate_sample(row: object, where: str = "sample record") -> SampleRow:
    """The row itself. Raises UserError, opening with `where`, if it is no sample record."""
    _validate("sample", row, where)
    return cast(SampleRow, row)


def validate_run(record: object, where: str = "run record") -> RunRecord:
    """The record itself. Raises UserError, opening with `where`, if it is no run record."""
    _validate("run", record, where)
    return cast(RunRecord, record)


def fits(row: Mapping[str, object]) -> bool:
    """Whether the fields that differ from row to row are surely valid, in microseconds instead of
    the validator's hundreds. False says only that `validate_sample` has to look."""
    return all(field in row and check(row[field]) for field, check in _quick_checks())


@functools.cache
def _quick_checks() -> tuple[tuple[str, Callable[[Any], bool]], ...]:
    properties = schema()["$defs"]["sample"]["properties"]
    return tuple(
        (field, _quick_check(properties[field]))
        for field in SAMPLE_FIELDS
        if field not in SHARED_FIELDS
    )


def _quick_check(spec: Mapping[str, Any]) -> Callable[[Any], bool]:
    """A test that is never laxer than the field's schema."""
    if "enum" in spec:
        names = frozenset(spec["enum"])
        return lambda value: type(value) is str and value in names
    declared = spec["type"] if isinstance(spec["type"], list) else [spec["type"]]
    types = frozenset(t for name in declared for t in _PYTHON_TYPES[name])
    if "minimum" not in spec:
        return lambda value: type(value) in types
    low, high = spec["minimum"], spec["maximum"]
    return lambda value: type(value) in types and (value is None or low <= value <= high)


@functools.cache
def _validator(kind: str) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # JSON Schema takes 5.0 for an integer; a count that is a float would make exact sums inexact.
    checker = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: type(value) is int
    )
    strict = extend(Draft202012Validator, type_checker=checker)
    return strict({"$ref": f"#/$defs/{kind}", "$defs": schema()["$defs"]})


def _validate(kind: str, record: Any, where: str) -> None:
    from jsonschema.exceptions import best_match

    error = best_match(_validator(kind).iter_errors(record))
    if error is not None:
        path = ".".join(str(part) for part in error.absolute_path)
        # Only the head: the message quotes the value, which may be as large as the file.
        path = path if path.isprintable() else repr(path)
        message = f"{path}: {error.message}" if path else error.message
        raise UserError(f"{where}: {message[:300]}")
