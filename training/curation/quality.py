"""Stage 3: the formatting faults that s1 drops questions for (section 2.2 and its notebook)."""

from __future__ import annotations

import re

_NUMBERED = re.compile(r"p([1-9]\d{0,2})\.")
_BOLD = re.compile(r"\*\*(?=.*\d)[^\s\]]*\*\*")


def fault(source: str, question: str) -> str:
    """What is wrong with the text of a question, quoted; empty if nothing.

    `[asy]`: a figure's code, which AIME's problems alone do without. `![Image]`: a figure.
    `p1.` to `p999.`, and a bold word such as `**3.**` with a digit in it or later on its line:
    several problems in one.
    """
    if "[asy]" in question and source != "aime":
        return "[asy]"
    if "![Image]" in question:
        return "![Image]"
    if found := _NUMBERED.search(question) or _BOLD.search(question):
        return found[0]
    return ""
