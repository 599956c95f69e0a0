"""Thinking formats, traces and outcomes: plain data at the bottom of everything."""

from s1_eval.thinking.chat import (
    AS_IT_IS,
    Chat,
    Message,
    has_template,
    is_special,
    read_arguments,
)
from s1_eval.thinking.detection import EFFORTS, NOT_KNOWN, Thinking, bind, detect, detect_format
from s1_eval.thinking.formats import (
    FORMATS,
    Delimiters,
    ThinkingFormat,
    encode_exactly,
    in_ids,
    parse_format,
)
from s1_eval.thinking.logprobs import Logprobs
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
    "AS_IT_IS",
    "CUT",
    "EFFORTS",
    "FORMATS",
    "NOT_KNOWN",
    "AnswerExit",
    "Chat",
    "Delimiters",
    "ExitReason",
    "Logprobs",
    "Message",
    "Origin",
    "Outcome",
    "Role",
    "Segment",
    "Thinking",
    "ThinkingFormat",
    "Trace",
    "bind",
    "detect",
    "detect_format",
    "encode_exactly",
    "has_template",
    "in_ids",
    "is_special",
    "parse_format",
    "read_arguments",
]
