"""How many model families are understood: every public chat template of a folder, with a small
tokenizer that has the family's tokens, is looked at, and a scripted model thinks in its form.

    python benchmarks/families.py [FOLDER]

FOLDER holds `families.json` and the templates (default: `../shared/data/templates`). A family is
right where what was found is what `tests/thinking/test_families.py` says, which was written by
reading the templates; refused where nothing is found though the model thinks; else wrong.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "thinking")]
if sys.argv[1:]:
    os.environ["S1_EVAL_DATA"] = str(Path(sys.argv[1]).resolve().parent)

from families import (  # type: ignore[attr-defined]  # noqa: E402  (the tests', not this file)
    families,
    family_tokenizer,
)
from test_families import EXPECTED  # noqa: E402

from s1_eval.thinking import detect  # noqa: E402

SILENT = frozenset(
    {"minimax-m1", "mimo-vl", "kimi-vl-thinking", "deephermes-3", "nemotron-super-v1"}
)
"""Models that think though their templates do not say so."""


def verdict(name: str) -> str:
    """`right`, `wrong` or `refused`."""
    state, opened, (start, stop, end, close), arguments = EXPECTED[name]
    found = detect("auto", family_tokenizer(name), name).to_dict()
    if name in SILENT:
        return "refused" if found["thinking"] == "none" else "wrong"
    read = tuple(found[key] for key in ("thinking", "opened", "start", "end", "answer_close"))
    right = read == (state, opened, start, end, close) and found["arguments"] == arguments
    return "right" if right and found["stop"] == ([stop] if stop else []) else "wrong"


def main() -> None:
    verdicts = {name: verdict(name) for name in families()}
    for name, said in verdicts.items():
        found = detect("auto", family_tokenizer(name), name)
        print(f"{name:24} {said:8} {found.state:5} {found.source:9} {found.format.name}")
    counts = Counter(verdicts.values())
    print(", ".join(f"{counts[word]} {word}" for word in ("right", "wrong", "refused")))


if __name__ == "__main__":
    main()
