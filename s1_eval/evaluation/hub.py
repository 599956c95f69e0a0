"""Data sets on the Hugging Face hub, at a commit that is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError
from s1_eval.libraries import needs


@dataclass(frozen=True, slots=True)
class Hub:
    """A data set on the Hugging Face hub.

    revision: a commit; seven digits are enough where no more is known. None where none is known:
        the commit that `main` is at is looked up when it is read, and recorded.
    split: None is the only one. name: of the configuration, None the only one.
    """

    dataset: str
    revision: str | None
    split: str | None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """Rows as they were read, and what was read."""

    rows: Iterable[Mapping[str, Any]]
    revision: str | None
    split: str | None


def read_hub(hub: Hub, instead: str) -> Read:
    """The rows, without pictures and sounds, and with the names of classes in place of their
    numbers. instead: what to type where the hub can't be reached.

    Raises UserError where there are none, or several splits to choose from.
    """
    with needs():
        import datasets

    try:
        commit = _commit(hub)
        found = datasets.load_dataset(hub.dataset, hub.name, split=hub.split, revision=commit)
    except Exception as error:  # the network's, the hub's and the file formats' are many
        raise UserError(
            f"can't read {hub.dataset} at revision {hub.revision or 'main'} from the hub: "
            f"{type(error).__name__}: {str(error)[:300]}\nWithout the hub: {instead}"
        ) from error
    split = hub.split
    if split is None:
        if len(found) > 1:
            raise UserError(
                f"{hub.dataset} has the splits {', '.join(found)}: give one, e.g. "
                f"--split {next(iter(found))}"
            )
        [(split, found)] = found.items()
    known = hub.revision if commit and hub.revision and commit.startswith(hub.revision) else commit
    return Read(_rows(found), known, split)


def _rows(found: Any) -> Iterable[Mapping[str, Any]]:
    features = getattr(found, "features", None) or {}
    kinds = {name: type(kind).__name__ for name, kind in features.items()}
    if seen := [name for name, kind in kinds.items() if kind in ("Image", "Audio", "Video")]:
        found = found.remove_columns(seen)
    named = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    if not named:
        rows: Iterable[Mapping[str, Any]] = found
        return rows
    classes = {name: features[name].names for name in named}

    def renamed() -> Iterator[Mapping[str, Any]]:
        for row in found:
            known = {name: _class(row[name], names) for name, names in classes.items()}
            yield {**row, **known}

    return renamed()


def _class(number: int | None, names: Sequence[str]) -> str | None:
    """Its name. A data set that keeps the answers of a split to itself has -1 there."""
    return None if number is None or number < 0 else names[number]


def _commit(hub: Hub) -> str | None:
    """The full commit of `hub.revision`; the hub itself takes no abbreviation."""
    if Path(hub.dataset).is_dir() or (hub.revision and len(hub.revision) == 40):
        return hub.revision
    from huggingface_hub import HfApi

    if hub.revision is None or not re.fullmatch("[0-9a-f]{7,39}", hub.revision):
        sha: str | None = HfApi().dataset_info(hub.dataset, revision=hub.revision or "main").sha
        return sha
    commits = [c.commit_id for c in HfApi().list_repo_commits(hub.dataset, repo_type="dataset")]
    found = [id for id in commits if id.startswith(hub.revision)]
    if len(found) != 1:
        raise ValueError(f"{len(found)} commits begin with {hub.revision}")
    return found[0]
