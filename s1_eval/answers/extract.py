"""Finds the final answer in the answer part of a trace. What it means is for `reading`.

Every search is linear in the text's length: the text is a model's and may be hostile.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from s1_eval.answers.units import is_unit

Rule = Literal[
    "boxed",
    "after the marker",
    "whole text",
    "last formula",
    "last number",
    "in bold",
    "last option",
    "nothing",
]


@dataclass(frozen=True, slots=True)
class Extraction:
    """text: the answer as written, empty for `nothing`. rule: what found it."""

    text: str
    rule: Rule


NOTHING = Extraction("", "nothing")


def extract(answer: str) -> Extraction:
    """The final answer of a text, by the first of these rules that applies:

    - what an explicit "Final Answer:" or "Answer:" after the last box says in a few signs;
    - the last non-empty `\\boxed{…}` with balanced braces (or `\\fbox`, or `\\boxed x`), together
      with boxes right before it, as in `\\boxed{1}` and `\\boxed{2}`;
    - what follows the last "Final Answer:", "Answer:", "####" or `<answer>`. Nothing there is no
      answer: it was announced and never came;
    - what follows the last "answer is" that says one: not "is not 5", "is clear" or "is correct";
    - what stands alone in bold in the last line;
    - the whole text where it is one formula or a few words;
    - the last formula in dollars or brackets that has the last number in it, or that number.

    An empty box is passed over: it echoes the instruction. Thinking up to a `</think>` is not
    searched, and of a text longer than LONGEST_TEXT only the end.
    """
    text = _response(answer)
    boxed, announced = _boxed(text), _announced(text)
    final = announced and announced.on_its_line and announced.at > _last_box(text)
    if boxed and announced and final and _is_short(announced.found):
        return announced.found
    return (
        boxed
        or (announced.found if announced else None)
        or _said(text)
        or _unannounced(_without_denials(text))
    )


def _unannounced(text: str) -> Extraction:
    return _in_bold(text) or _whole(text) or _last_formula(text) or NOTHING


LONGEST_TEXT = 200_000
"""Characters. Answers come last; what is before is not searched, so that no text takes seconds."""


def left_out(answer: str) -> str:
    """What a verdict has to say of a text that was not searched as a whole; mostly nothing."""
    if len(answer) <= LONGEST_TEXT:
        return ""
    return f"; only the last {LONGEST_TEXT:,} characters were searched"


def _response(answer: str) -> str:
    """The end of a response behind its thinking, without end tokens; `{"answer": …}` announced."""
    text = _END_TOKEN.sub("", answer[-LONGEST_TEXT:].rpartition("</think>")[2])
    return _JSON.sub(r"\nAnswer: \1\2\n", text)


_END_TOKEN = re.compile(r"<\|[a-z_]{2,20}\|>|<[｜|]end▁of▁sentence[｜|]>|</s>")
_JSON = re.compile(
    r'"(?:final[_ ]?)?answer"\s{0,9}:\s{0,9}(?:"([^"\\\n]{0,200})"|(-?[\d.]{1,200}))', re.IGNORECASE
)


def extract_option(answer: str, options: Sequence[str], letters: str) -> Extraction:
    """The letter of a multiple-choice answer: from a box or after a marker as in `extract`, else
    "the answer is", "I choose" and the like, the whole text, or the one option that the last
    sentence with options in it stands by: `(C)`, `C)`, `**C. text**`, "option C". The text of an
    option counts as its letter. What is denied ("not A", "rules out A") is no answer.

    options: the options' texts in the order of `letters`, or none. Text that names no option, or
    two, is `nothing`.
    """
    text = _response(answer)
    if options:
        letters = letters[: len(options)]
    boxed, announced = _boxed(text), _announced(text)
    for found in (boxed, announced.found if announced else None):
        if found:
            letter = _option(found.text, options, letters)
            if letter or found is not boxed:
                return Extraction(letter, found.rule) if letter else NOTHING
            if _names_two(found.text, letters):
                return NOTHING
    for said in _sayings(text, _CHOSEN):
        letter = _option(said, options, letters)
        if letter:
            return Extraction(letter, "after the marker")
        if said.strip() and _names_two(said, letters):
            return NOTHING
    letter = _option(text, options, letters, alone=True)
    if letter:
        return Extraction(letter, "whole text")
    letter = _mentioned(text, options, letters)
    return Extraction(letter, "last option") if letter else NOTHING


def last_number(text: str) -> str:
    """The last number as written, thousands separators included; empty if there is none."""
    number = _last(_NUMBER, text)
    return number.group() if number else ""


def leading_number(text: str) -> str:
    """The number that a text begins with; empty where it begins with more of a formula."""
    number = _LEADING.match(text.lstrip("$\\([{ *"))
    return number.group() if number else ""


def prose(text: str) -> list[str]:
    """The words of a text that are part of no formula. Two letters are a product more often than
    a word."""
    return [
        word
        for word in _WORD.findall(text)
        if (len(word) > 2 or word.lower() in _SHORT)
        and word.lower() not in _KNOWN
        and not is_unit(word)
    ]


_NOT = re.compile(r"\b(?:not|than)[\s$]*(?:\\\()?\s*$")
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_WORD_IN_BOX = re.compile(r"\\?[A-Za-z]+|[-+]?[\d.,]*\d|.", re.DOTALL)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_SPACING = r"(?:[\s$,;.]|\\[ ,;]|\\q?quad)*"
_BETWEEN_BOXES = re.compile(rf"{_SPACING}(?:\\text\{{\s*)?(?:and|or)?(?:\s*\}})?{_SPACING}")
_MARKER = re.compile(
    r"\bans(?:wer)?(?:[ \t]{0,3}[*_]{0,3}[ \t]{0,3}[:：])(?![ \t]*[*_]{0,2}[ \t]*(?:not|wrong|incorrect)\b)"  # noqa: E501
    r"|^[ \t]{0,3}#{1,6}[ \t]{0,3}(?:final[ \t]{1,3})?answer[ \t]{0,3}$"
    r"|^[ \t]{0,3}####(?=[ \t]{0,3}[^#\sA-Za-z])|<answer>",
    re.IGNORECASE | re.MULTILINE,
)
_DIGITS = r"(?:\d{1,3}(?:(?:,|\{,\}|\\,|,\\!)\d{3})+(?!\d)|\d+)(?:\.\d+)?"
_NUMBER = re.compile(
    rf"(?<![\d.\w/])[-+−]?\d+/\d+(?![\d/.]*\d)|(?<![\d.\w])[-+−]?{_DIGITS}(?!\d)|(?<![\d\w])[-+−]?\.\d+|\d+"
)
_LEADING = re.compile(rf"[-+−]?{_DIGITS}(?![\d.]*\d)(?!\s*[-+*/^_=\\({{])")


def _boxed(text: str) -> Extraction | None:
    boxes = [
        box
        for box in _boxes(text)
        if box[2].strip() and not _NOT.search(text[max(0, box[0] - 12) : box[0]])
    ]
    if not boxes:
        return None
    joined = [boxes[-1][2]]
    for (_, end, content), (start, *_) in zip(boxes[-2::-1], boxes[:0:-1], strict=True):
        if start - end > 20 or not _BETWEEN_BOXES.fullmatch(text, end, start):
            break
        joined.append(content)
    return Extraction(", ".join(c.strip() for c in reversed(joined)), "boxed")


def _boxes(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of every box whose braces balance, none inside another."""
    boxes: list[tuple[int, int, str]] = []
    closes: dict[int, int] | None = None
    for box in _BOX.finditer(text):
        start = box.end()
        if start >= len(text) or (boxes and start < boxes[-1][1]):
            continue
        if text[start] != "{":
            word = _WORD_IN_BOX.match(text, start, start + 80)
            if word:
                boxes.append((box.start(), word.end(), word.group()))
            continue
        closes = _closing_braces(text) if closes is None else closes
        if start in closes:
            boxes.append((box.start(), closes[start] + 1, text[start + 1 : closes[start]]))
    return boxes


def _closing_braces(text: str) -> dict[int, int]:
    """Where each opening brace that is closed is closed; escaped braces are text."""
    opened: list[int] = []
    closes: dict[int, int] = {}
    for brace in _BRACE.finditer(text):
        if brace.group() == "{":
            opened.append(brace.start())
        elif brace.group() == "}" and opened:
            closes[opened.pop()] = brace.start()
    return closes


@dataclass(frozen=True, slots=True)
class _Announced:
    """on_its_line: whether the marker begins a line, so that no sentence mentions it."""

    at: int
    on_its_line: bool
    found: Extraction


def _announced(text: str) -> _Announced | None:
    """What follows the last explicit marker that does not deny or only mention an answer."""
    marker = _last(_MARKER, text)
    if marker is None:
        return None
    line = text[: marker.start()].rpartition("\n")[2][-200:]
    alone = not re.sub(r"\b(?:my|the|final|correct)\b|^.*[.!?)\]}$]\s", "", line.lower()).strip(
        " \t#*_-✅"
    )
    return _Announced(marker.start(), alone, _after(text[marker.end() :]))


def _after(rest: str) -> Extraction:
    rest = rest.lstrip(" \t\r\n*_:#")
    rest = rest.split("</answer>", 1)[0]
    if inner := _SAID.match(rest):  # Final Answer: The final answer is …
        rest = rest[inner.end() :].lstrip(" \t\r\n*_:")
    formulas = _formulas(rest, 2_000)
    if formulas and not rest[: formulas[0][0]].strip():
        return Extraction(_row(rest, formulas)[0], "after the marker")
    line = rest.split("\n", 1)[0].strip().strip("*").strip()
    if not line:
        return NOTHING
    if formulas and formulas[0][0] < len(line):
        return Extraction(_row(rest, formulas)[-1], "after the marker")
    return Extraction(_without_prose(line).strip("* "), "after the marker")


def _without_denials(text: str) -> str:
    """A text without the sentences that say what the answer is not."""
    kept, at = [], 0
    for denial in _NOT_THE_ANSWER.finditer(text):
        if denial.start() < at:
            continue
        kept.append(text[at : denial.start()])
        end = re.compile(r"[.!?](?=\s|$)|\n").search(text, denial.end())
        at = end.end() if end else len(text)
    return "".join((*kept, text[at:]))


_NOT_THE_ANSWER = re.compile(
    r"\b(?:the\s)?(?:final\s|correct\s)?answer\s?(?::|is|was|can|could|must|should)?\s?\*{0,2}"
    r"(?:not|n't|never|cannot|isn't|can't|wasn't|couldn't)\b",
    re.IGNORECASE,
)


def _is_short(found: Extraction) -> bool:
    return bool(found.text) and len(found.text) < 100 and not prose(_WRAPPED.sub(" ", found.text))


def _last_box(text: str) -> int:
    return max((box[0] for box in _boxes(text)), default=-1)


def _said(text: str) -> Extraction | None:
    """What the last "answer is" says."""
    for said in _sayings(text, _SAID):
        found = _after(said)
        if found.text and not _EVALUATION.match(found.text):
            return Extraction(found.text, "after the marker")
    return None


def _sayings(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """What follows each of the last matches, the last first, unless it is a denial; of "not 11
    but 12" what follows the "but"."""
    for match in reversed(deque(pattern.finditer(text), maxlen=20)):
        rest = text[match.end() : match.end() + 4_000].lstrip(" \t*_:")
        if corrected := _BUT.match(rest):
            rest = rest[corrected.end() :]
        if not _DENIED.match(rest):
            yield rest


_BUT = re.compile(r"not\s[^.\n]{1,60}?\sbut\s+(?:rather\s+|instead\s+)?(?:is\s+)?", re.IGNORECASE)


_SAID = re.compile(
    r"(?i:\b(?:the\s+)?(?:final\s+|correct\s+|right\s+)?answer\s+(?:is|would\s+be|must\s+be|should\s+be|"
    r"equals|=)(?:\s+(?:therefore|thus|then|hence|simply|just|indeed))?(?!\w)[ \t]*:?)"
)
_CHOSEN = re.compile(
    r"(?i:\b(?:answer|choice|option|letter|one)\b(?:\s+(?:here|that\s+\w+(?:\s+\w+)?))?\s+"
    r"(?:is|must\s+be|would\s+be|should\s+be|has\s+to\s+be)(?!\w)"
    r"|\b(?:i|we|i'd|i\s+would|i\s+will|i'll|would)\s+(?:would\s+|will\s+|therefore\s+|thus\s+)?"
    r"(?:choose|chose|pick|select|go\s+with|opt\s+for|say)(?:\s+the)?(?!\w)"
    r"|\bcorresponds\s+to(?!\w)|\bleaves\s+(?:us\s+with|only)(?!\w))"
    r"[ \t]*:?"
)
_DENIED = re.compile(
    r"(?:definitely\s+|certainly\s+|probably\s+)?(?:not|never|neither|no\s+longer|n't|cannot|unlikely|"
    r"wrong|incorrect)\b",
    re.IGNORECASE,
)
_EVALUATION = re.compile(
    r"(?:indeed\s+|not\s+|very\s+|quite\s+)?(?:clear|correct|right|wrong|incorrect|obvious|simple|easy|"
    r"known|given|found|obtained|verified|confirmed|consistent|reasonable|unique|ready|the\s+same|in\s|"
    r"an?\s+(?:integer|number|real)|as\s|to\s|that\s|what\s|helpful|valid|required|expected|below|above)\b",
    re.IGNORECASE,
)


def _without_prose(line: str) -> str:
    """A line up to the end of its first sentence; a point inside a number ends none."""
    end = re.search(r"[.;!](?=\s+\S|$)|,(?=\s+[a-z]{2,})", line[:_LONGEST_LINE])
    return line[: end.start()].strip() if end and end.start() else line


_LONGEST_LINE = 4_000


def _row(text: str, formulas: list[tuple[int, int, str]]) -> list[str]:
    """Neighbouring formulas joined, as in `$1$ and $2$`."""
    rows = [formulas[0][2]]
    for (_, end, _), (start, _, content) in pairwise(formulas):
        between = text[end:start].strip()
        if between in _JOINTS:
            rows[-1] += f", {content}"
        else:
            rows.append(content)
    return rows


_JOINTS = frozenset({",", "and", "or", ", and", ", or"})


def _formulas(text: str, limit: int | None = None) -> list[tuple[int, int, str]]:
    """(start, end, content) of every formula in `$…$`, `$$…$$`, `\\(…\\)` or `\\[…\\]`."""
    text = text[:limit]
    found: list[tuple[int, int, str]] = []
    missing: set[str] = set()
    at = 0
    for opening in _OPENING.finditer(text):
        close = _CLOSES[opening.group()]
        if opening.start() < at or close in missing:
            continue
        end = text.find(close, opening.end())
        if end < 0:
            missing.add(close)
            continue
        at = end + len(close)
        if text[opening.end() : end].strip():
            found.append((opening.start(), at, text[opening.end() : end].strip()))
    return found


_OPENING = re.compile(r"(?<!\\)\$\$?|(?<!\\)\\[(\[]")
_CLOSES = {"$": "$", "$$": "$$", "\\(": "\\)", "\\[": "\\]"}


def _whole(text: str) -> Extraction | None:
    """A text that is nothing but an answer: one line, with no prose in it."""
    line = _FENCE.sub("", text).strip().strip("*").strip()
    if not line or len(line) > _LONGEST_WHOLE or "\n" in line or _BOX.search(line):
        return None
    formulas = _formulas(line)
    if formulas and prose(_outside(line, formulas)):
        return None  # a sentence around a formula
    bare = _WRAPPED.sub(" ", line)
    words = prose(bare)
    if any(c.isdigit() for c in bare):
        too_many = len(words) > 1 or any(len(w) > 3 for w in words)
    else:
        too_many = len(words) > 3
    return None if too_many else Extraction(line, "whole text")


def _outside(text: str, formulas: list[tuple[int, int, str]]) -> str:
    """A text without its formulas, and without what follows the last, a unit or remark."""
    ends = [0, *(end for _, end, _ in formulas)]
    return " ".join(text[a:b] for a, (b, *_) in zip(ends, formulas, strict=False))


_FENCE = re.compile(r"^\s*```\w*|```\s*$")
_LONGEST_WHOLE = 400
_WRAPPED = re.compile(r"\\[A-Za-z]+(?:\s*\{[^{}]{0,80}\})?")
_WORD = re.compile(r"(?<![A-Za-z\d^_\\])[A-Za-z]{2,}")
_KNOWN_WORDS = (
    "and or sqrt pi sin cos tan cot sec csc log exp inf infinity base degrees percent union"
)
_SHORT = frozenset({"is", "it", "so", "we", "be", "as"})
_KNOWN = frozenset(_KNOWN_WORDS.split())


def _in_bold(text: str) -> Extraction | None:
    """The one short thing in bold in the last line, which no heading is."""
    line = text.rstrip().rpartition("\n")[2][-_LONGEST_LINE:]
    bold = re.findall(r"\*\*([^*\n]{1,60})\*\*", line)
    if len(bold) != 1 or bold[0].rstrip().endswith((":", "?")) or _NO_ANSWER.search(bold[0]):
        return None
    if _DENIAL.search(line.partition("**")[0][-40:]):
        return None
    return Extraction(bold[0].strip().strip("$").rstrip("."), "in bold")


_NO_ANSWER = re.compile(r"\b(?:step|case|note|not|method|part|lemma|proof)\b", re.IGNORECASE)
_DENIAL = re.compile(
    r"\b(?:not|isn't|aren't|cannot|can't|never|rul(?:e|es|ed|ing)\s+out|eliminat\w+|exclud\w+|"
    r"reject\w*|discard\w*|wrong|incorrect|unlike|rather\s+than|instead\s+of|neither|nor|than|"
    r"false|except|unlikely|doesn't|does\s+not|don't)\b",
    re.IGNORECASE,
)


def _last_formula(text: str) -> Extraction | None:
    number = _last(_NUMBER, text)
    formulas = _formulas(text)
    if formulas and (number is None or formulas[-1][1] >= number.end()):
        return Extraction(_row(text, formulas)[-1], "last formula")
    return Extraction(number.group(), "last number") if number else None


def _option(text: str, options: Sequence[str], letters: str, *, alone: bool = False) -> str:
    """The one letter that a text names at its beginning, or whose option it is; empty where it
    names none, or two. alone: with nothing after the letter but its option."""
    bare = _FONT.sub(r"\1", text[:_LONGEST_LINE].replace("$", " ")).strip(" \n\t.*_`\"'“”‘’")
    bare = re.sub(r"^(?:\\boxed\s*\{|\\[(\[])\s*", "", bare).strip("*_ ")
    bare = re.sub(
        r"^(?:the\s+)?(?:option|choice|answer|letter)\b[\s:*]*(?:is\b[\s:*]*)?",
        "",
        bare,
        flags=re.IGNORECASE,
    )
    bare = bare.strip().removesuffix("\\)").removesuffix("\\]").strip()
    bare = bare.replace("\\ ", " ").replace("~", " ")
    meant = {letter: _plain(option) for letter, option in zip(letters, options, strict=False)}
    named = re.match(
        rf"\(([{letters}{letters.lower()}])\)|\[([{letters}])\]"
        rf"|([{letters}])(?![A-Za-z0-9'’^_=+/])|([{letters.lower()}])(?=[).:\]]|$)",
        bare,
    )
    if named:
        letter = str(next(filter(None, named.groups()))).upper()
        rest = bare[named.end() :].lstrip("*_")
        line = rest.split("\n", 1)[0]
        own = _plain(re.sub(r"^[\s).:,\]–—-]+", "", line)) == meant.get(letter, "") != ""
        if _names_two(letter + line, letters):
            return ""
        if own:
            return letter
        if alone and rest.strip(" ).:*_]"):
            return ""
        if _ENDS_LETTER.match(line) or (named[3] and letter not in "AI"):
            return letter
    same = [letter for letter, option in meant.items() if option and option == _plain(text)]
    same = same or [letter for letter, option in meant.items() if option and option == _plain(bare)]
    return same[0] if len(same) == 1 else ""


_ENDS_LETTER = re.compile(
    r"\s*(?:[).:,;!\]}}*\"]|$|[-–—(]|\\|(?:because|since|as|for|is|given|due|based|from|which|in|with|and\s+not)\b)"
)


def _names_two(text: str, letters: str) -> bool:
    """Whether a text begins with two letters to choose from: `A or B`, `A, C`, `A and D`."""
    one = rf"\(?\b[{letters}]\b\)?"
    return bool(
        re.match(
            rf"\W*(?:either\s+|both\s+)?{one}\s*(?:\bor\b|\band\b|,|/|&)\s*(?:\bor\b|\band\b)?\s*"
            rf"(?:option\s+)?{one}(?!\s+(?:is|are|was|fails?|has|can)\b)",
            text[:200],
        )
    )


def _mentioned(text: str, options: Sequence[str], letters: str) -> str:
    """The option that running text stands by: of all it mentions and does not deny, the only one,
    or the only one in the last sentence that mentions any."""
    found = [
        (match.start(), next(filter(None, match.groups())).upper())
        for match in deque(_mentions(letters).finditer(text), maxlen=100)
        if not _denied(text, match)
    ]
    if found:
        by_letter = {letter for _, letter in found}
        if len(by_letter) > 1:
            last = found[-1][0]
            begin = max(text.rfind(end, 0, last) for end in (". ", ".\n", "\n\n", "! ", "? "))
            by_letter = {letter for at, letter in found if at > begin}
            if begin < 0:
                return ""
        return by_letter.pop() if len(by_letter) == 1 else ""
    return _told(text, options, letters)


def _mentions(letters: str) -> re.Pattern[str]:
    one = f"([{letters}])"
    return re.compile(
        rf"(?<![\w(])\({one}\)(?![\w(])|\*\*\(?{one}(?:\)?\*\*|[).:,]\)?\s?[^*\n]{{0,200}}\*\*|\s[-–—]\s[^*\n]{{0,200}}\*\*)"
        rf"|\b(?i:option|choice|answer)\s(?:\(?{one}\b(?!')|\(([{letters.lower()}])\))"
        rf"|\bnot\s(?i:option\s)?\(?[{letters}]\)?,?\sbut\s(?i:rather\s|option\s){{0,2}}\(?{one}\b(?!')"
        rf"|\b(?i:so|thus|hence|therefore),?\s(?i:it\sis\s|it's\s|i\schoose\s)?{one}[.!]?\s*\Z"
        rf"|(?:\A|[.!?:;\n]\s|\b(?i:so|thus|hence|therefore|that),?\s){one}\sis\s(?:therefore\s)?"
        r"(?:the\s)?(?:correct|right|best|answer)\b"
    )


def _denied(text: str, mention: re.Match[str]) -> bool:
    """Whether what stands before or after a mention in its clause takes it back."""
    clauses = re.split(r"[.;:\n]|\bbut\b", text[max(0, mention.start() - 80) : mention.start()])
    parts = re.split(r",|\band\b|\bor\b", clauses[-1])
    before = next((part for part in reversed(parts) if part.strip(" *(")), "")
    after = re.split(r"[.;,\n]|\bbut\b|\band\b", text[mention.end() : mention.end() + 60])[0]
    return bool(_DENIAL.search(before) or _WRONG.match(after))


_WRONG = re.compile(
    r"[\s:*–—-]*(?:(?:is|are|was|seems|looks|can|could|must|would)\s*(?:therefore\s+|also\s+|clearly\s+)?"
    r"(?:not|n't|be\s+(?:ruled|excluded|eliminated|wrong)|wrong|incorrect|false|too|out|unlikely|eliminated|"
    r"ruled|excluded|impossible)|isn't|can't|cannot|does\s+not|doesn't|fails|contradicts|wrong|"
    r"incorrect|false|no\b)",
    re.IGNORECASE,
)


def _told(text: str, options: Sequence[str], letters: str) -> str:
    """The option whose own text is in bold, or ends the last sentence, when no other's text occurs
    at all."""
    if not options or any(not _plain(option) for option in options):
        return ""
    low = text[-_LONGEST_LINE:].casefold()
    occurring = [
        letter
        for letter, option in zip(letters, options, strict=False)
        if re.search(rf"(?<!\w){re.escape(option.strip().rstrip('.').casefold())}(?!\w)", low)
    ]
    if len(occurring) != 1:
        return ""
    option = options[letters.index(occurring[0])].strip().rstrip(".").casefold()
    end = re.search(
        rf"(?:\b(?:is|are|was|be|for|with|to|choose|chose)\s+|:\s*)(?:\*\*|[\"“'])?{re.escape(option)}"
        rf"(?:\*\*|[\"”'])?[.!\s*]*$|\*\*{re.escape(option)}\.?\*\*",
        low.rstrip(),
    )
    if not end or _DENIAL.search(low[max(0, end.start() - 60) : end.end()].rpartition(". ")[2]):
        return ""
    return occurring[0]


_FONT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|bf|rm)\s*\{([^{}]*)\}")


def _plain(text: str) -> str:
    """A text by its letters, digits and signs alone."""
    text = _FONT.sub(r"\1", text[:_LONGEST_LINE]).casefold()
    return re.sub(r"[\s$*`{}]+|\\[ ,;!()\[\]]|\.$", "", text.strip().rstrip("."))


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    matches: Iterator[re.Match[str]] = pattern.finditer(text)
    return next(iter(deque(matches, maxlen=1)), None)
