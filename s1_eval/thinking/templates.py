"""The source of a chat template, read without running it: which arguments it takes, which values it
compares them with, which keys of a message it looks at, and what it writes itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
"""A tag of transformers' own around what a model wrote."""

_REASONING = re.compile(r"think|thought|reason|analysis|\bcot\b|delib", re.IGNORECASE)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")

_GIVEN = frozenset(
    {
        "messages",
        "tools",
        "documents",
        "add_generation_prompt",
        "continue_final_message",
        "bos_token",
        "eos_token",
        "pad_token",
        "unk_token",
        "raise_exception",
        "strftime_now",
        "date_string",
        "custom_tools",
        "builtin_tools",
        "tools_in_user_message",
        "available_tools",
        "response_format",
        "tool_choice",
        "model_identity",
        "add_vision_id",
    }
)
"""Names that a template gets by itself, or that have nothing to do with thinking."""

_USUAL = (
    "enable_thinking",
    "thinking",
    "reasoning_effort",
    "thinking_mode",
    "thinking_budget",
    "reasoning",
    "skip_thinking",
    "thinking_effort",
)
_LEVELS = ("high", "medium", "low", "none")
_MOST = 24
"""Arguments that are tried, those with the usual names first."""


@dataclass(frozen=True, slots=True)
class Source:
    """text: the source. written: every text that the template may write, run together.
    arguments: each with the values to try. names: what may be the name of a message's key or of a
    type of content block, and sounds like reasoning. words: every word in it that is quoted."""

    text: str
    written: str = ""
    arguments: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()

    @classmethod
    def read(cls, text: str) -> Source:
        """What can be read of a template; of one that can't be parsed, its words."""
        import jinja2
        import jinja2.meta

        environment = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"])  # noqa: S701
        try:
            tree = environment.parse(_GENERATION.sub("", text))
        except (jinja2.TemplateError, RecursionError):
            words = tuple(name for name in _USUAL if re.search(rf"\b{name}\b", text))
            plain = text.replace("\\n", "\n")
            return cls(text, plain, {name: _values(name, ()) for name in words})
        # Before jinja2 looks for variables, which folds lists of constants away in the tree.
        compared, quoted, written = _compared(tree), _words(tree), "\0".join(_written(tree))
        try:
            undeclared = jinja2.meta.find_undeclared_variables(tree)
        except (jinja2.TemplateError, RecursionError):
            undeclared = set()
        named = {name for name in (*_USUAL, *compared) if re.search(rf"\b{name}\b", text)}
        defined = {name.name for n in tree.find_all(jinja2.nodes.Test) for name in _names(n.node)}
        names = (undeclared | (defined & named) | (named & set(_USUAL))) - _GIVEN
        ranked = sorted(names, key=lambda n: (_rank(n), n))[:_MOST]
        said = sorted(word for word in quoted if _REASONING.search(word))[:12]
        return cls(
            text=text,
            written=written,
            arguments={name: _values(name, compared.get(name, ())) for name in ranked},
            names=tuple(said),
            words=frozenset(quoted),
        )


def _rank(name: str) -> int:
    if name in _USUAL:
        return _USUAL.index(name)
    return len(_USUAL) + (0 if _REASONING.search(name) else 1)


def _values(name: str, compared: Any) -> tuple[Any, ...]:
    """Those to try, the likeliest to switch thinking on first."""
    low = name.lower()
    found: list[Any] = []
    if "budget" in low:
        found = [-1, 1024, 0]
    elif "effort" in low:
        found = [*_LEVELS]
    else:
        found = [True, False]
    found += sorted((v for v in compared if v not in found), key=lambda v: (str(type(v)), repr(v)))
    return tuple(found[:12])


def _compared(tree: Any) -> dict[str, list[Any]]:
    """Constants that the template compares each variable with, or what it makes of it."""
    from jinja2 import nodes

    found: dict[str, list[Any]] = {}
    for compare in tree.find_all(nodes.Compare):
        sides = [compare.expr, *(operand.expr for operand in compare.ops)]
        names = {n.name for side in sides for n in _names(side)}
        values = [
            const.value
            for side in sides
            for const in ([side] if isinstance(side, nodes.Const) else side.find_all(nodes.Const))
            if isinstance(const.value, str | int | bool) and len(str(const.value)) <= 40
        ]
        for name in names:
            found.setdefault(name, []).extend(values)
    for made in tree.find_all(nodes.Assign):
        if isinstance(made.target, nodes.Name) and made.target.name in found:
            for name in {n.name for n in made.node.find_all(nodes.Name)} | {
                n.name for n in _names(made.node)
            }:
                found.setdefault(name, []).extend(found[made.target.name])
    return {name: list(dict.fromkeys(values)) for name, values in found.items()}


def _names(side: Any) -> list[Any]:
    """The variable that one side of a comparison is, filters taken off."""
    from jinja2 import nodes

    while isinstance(side, nodes.Filter):
        side = side.node
    return [side] if isinstance(side, nodes.Name) else []


def _words(tree: Any) -> set[str]:
    """Attributes, keys and constants that could be the name of something."""
    from jinja2 import nodes

    found = {node.attr for node in tree.find_all(nodes.Getattr)}
    found |= {c.value for c in tree.find_all(nodes.Const) if isinstance(c.value, str)}
    return {word for word in found if _IDENTIFIER.fullmatch(word)}


def _written(node: Any) -> Iterator[str]:
    """Texts in a tree but for those that are only looked for: a method's arguments and what is
    compared."""
    from jinja2 import nodes

    if isinstance(node, nodes.TemplateData):
        yield node.data
    elif isinstance(node, nodes.Const):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, nodes.Compare):
        return
    elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        yield from _written(node.node.node)
    elif isinstance(node, nodes.Concat | nodes.Add):
        # Tags are put together of several texts.
        yield "".join(_written_parts(node))
    else:
        for child in node.iter_child_nodes():
            yield from _written(child)


def _written_parts(node: Any) -> Iterator[str]:
    for child in node.iter_child_nodes():
        yield from _written(child)
