"""Prints docs/api.md, made from the docstrings of the public names: `python docs/api.py >
docs/api.md`. A test holds the file to it."""

from __future__ import annotations

import inspect
import re

import s1_eval

OPENING = """\
# In Python

<!-- Made by docs/api.py from the docstrings, whose examples are run as tests. -->

`import s1_eval` loads nothing heavy; what is named here is imported when it is first used. A run
asked for in Python leaves the records that `s1-eval sweep` leaves, and is scored by the same code.
A method of one's own, in ten lines: [methods.md](methods.md#a-method-of-your-own).
"""

SHOWN = ("evaluate", "Result", "read_runs", "score", "compare", "advise")


def section(name: str) -> str:
    """A public name with its signature, its documentation and those of its methods."""
    thing = getattr(s1_eval, name)
    parts = [f"## `s1_eval.{name}`", *_described(name, thing)]
    if inspect.isclass(thing):
        for method, made in vars(thing).items():
            if not method.startswith("_") and inspect.isfunction(made):
                parts += [f"### `{name}.{method}`", *_described(method, made)]
    return "\n\n".join(parts)


def _described(name: str, thing: object) -> list[str]:
    signature = "" if inspect.isclass(thing) else _signature(name, thing)
    return [*filter(None, [signature]), _markdown(inspect.getdoc(thing) or "")]


def _signature(name: str, thing: object) -> str:
    given = []
    starred = False
    for parameter in inspect.signature(thing).parameters.values():  # type: ignore[arg-type]
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            given.append("*")
            starred = True
        starred |= parameter.kind is parameter.VAR_POSITIONAL
        plain = parameter.replace(annotation=parameter.empty)
        given.append(str(plain))
    line = f"{name}({', '.join(given)})"
    if len(line) > 100:
        line = f"{name}(\n    " + ",\n    ".join(given) + ",\n)"
    return f"```text\n{line}\n```"


def _markdown(text: str) -> str:
    """A docstring: its lists of arguments as lists, its examples as code."""
    blocks = []
    for block in text.split("\n\n"):
        if block.startswith(">>>"):
            blocks.append(f"```pycon\n{block}\n```")
        elif re.match(r"\w+(, \w+)*: ", block):
            joined = re.sub(r"\n +", " ", block)
            pattern = r"(?:^|(?<=\. )|\n)(\w+(?:, \w+)*): "
            blocks.append(re.sub(pattern, r"\n- `\1`: ", joined).strip().replace(" \n", "\n"))
        else:
            blocks.append(block)
    return "\n\n".join(blocks)


if __name__ == "__main__":
    print("\n\n".join([OPENING.rstrip(), *map(section, SHOWN)]))  # noqa: T201
