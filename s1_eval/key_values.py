"""`KEY=VALUE`, as command lines write settings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from s1_eval.errors import UserError

TEXTS = frozenset(
    {
        "chat_template",
        "final_answer_nudge",
        "ignore_string",
        "step_separator",
        "system",
        "thinking_format",
    }
)
"""Settings whose values are texts, whatever YAML would make of them: `[THINK]...[/THINK]`."""


def split_pair(
    pair: str, option: str, form: str, *, last: bool = False, filled: bool = False
) -> tuple[str, str]:
    """(key, value) around the first `=`, or the last one. option, form: for the message. filled:
    whether the value may not be empty. Raises UserError on anything else."""
    key, equals, value = pair.rpartition("=") if last else pair.partition("=")
    if not (key and equals and (value or not filled)):
        raise UserError(f"{option} {pair}: give {form}")
    return key, value


def read_value(text: str) -> Any:
    """What a value spells: JSON, else YAML, as Inspect reads -S, else the text itself."""
    import yaml

    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        pass
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def key_values(pairs: Iterable[str], option: str) -> dict[str, Any]:
    """`KEY=VALUE` options as a mapping. Raises UserError on anything else."""
    split = (split_pair(pair, option, "KEY=VALUE") for pair in pairs)
    return {key: value if key in TEXTS else read_value(value) for key, value in split}


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
