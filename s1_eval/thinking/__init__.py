"""Thinking formats, traces and outcomes: plain data at the bottom of everything."""

from s1_eval.thinking.formats import (
    FORMATS,
    Delimiters,
    ThinkingFormat,
    bind,
    detect_format,
    encode_exactly,
    parse_format,
)
from s1_eval.thinking.trace import (
    CUT,
    AnswerExit,
    ExitReason,
    Origin,
    Outcome,
    Role,
    Segment,
    Trace,
)

__all__ = [
    "CUT",
    "FORMATS",
    "AnswerExit",
    "Delimiters",
    "ExitReason",
    "Origin",
    "Outcome",
    "Role",
    "Segment",
    "ThinkingFormat",
    "Trace",
    "bind",
    "detect_format",
    "encode_exactly",
    "parse_format",
]
