"""A trace for the terminal: sampled text plain, forced text in brackets and colour."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from s1_eval.thinking.trace import Decode, Segment, Trace

if TYPE_CHECKING:
    from rich.text import Text

_STYLES = {"thinking": "", "answer": "bold", "delimiter": "dim", "nudge": "magenta"}


def render(trace: Trace, decode: Decode) -> Text:
    """The trace as rich text. Forced segments stand in ⟦…⟧, so they show without colour too;
    control characters that the model wrote are spelled out and can't reach the terminal."""
    from rich.text import Text

    text = Text()
    for segment in trace.segments:
        text.append(*_styled(segment, decode))
    counts = (
        f"\n{trace.thinking_tokens} thinking tokens, {trace.answer_tokens} answer tokens, "
        f"{trace.forced_tokens} forced ids, {trace.num_ignores_used} ignores; "
        f"thinking ended: {trace.exit_reason}"
    )
    text.append(counts, style="italic")
    return text


def _styled(segment: Segment, decode: Decode) -> tuple[str, str]:
    shown = printable(decode(segment.ids))
    if segment.origin == "sampled":
        return shown, _STYLES[segment.role]
    return f"⟦{shown}⟧", f"{_STYLES[segment.role]} yellow".strip()


def printable(text: str) -> str:
    """`text` with every control and format character but newline and tab spelled out."""
    if text.replace("\n", "").replace("\t", "").isprintable():  # in a fraction of the time
        return text
    return "".join(
        c
        if c in "\n\t" or unicodedata.category(c)[0] != "C"
        else c.encode("unicode_escape").decode()
        for c in text
    )
