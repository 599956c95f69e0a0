"""Recipe files: found by path or by name, based on one another, and read into dataclasses that
check themselves. What a recipe may say stands with each kind of recipe.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from s1_eval.errors import UserError
from s1_eval.names import choose_from

FOLDER = Path(__file__).parent / "recipes"
LAUNCH = Path(__file__).parent / "accelerate"
"""Configurations of `accelerate launch`."""
TOP = "the recipe"
BASE = "based_on"

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def recipes() -> dict[str, Path]:
    """The file of every recipe that comes with the package, by the recipe's name."""
    return {path.name.removesuffix(".yaml"): path for path in sorted(FOLDER.glob("*.yaml"))}


def find(recipe: str | Path) -> Path:
    """The file that `recipe` names: a path, or the name of one of ours. Raises UserError where
    there is neither."""
    name, known = str(recipe).removesuffix(".yaml"), recipes()
    if Path(recipe).is_file():
        return Path(recipe)
    if name not in known:
        raise UserError(f"no recipe at {recipe}: {choose_from(Path(name).name, known)}, or a file")
    return known[name]


def command(path: Path) -> str:
    """The command of `s1-train` that takes this recipe of ours."""
    keys = based(path).keys()
    return "curate" if "sources" in keys else "prm" if "traces" in keys else "sft"


def about(path: Path) -> str:
    """What the comment at the top of a recipe of ours says, up to the end of its first sentence."""
    comment = re.match(r"(# .*\n)+", path.read_text("utf-8"))
    text = comment[0].replace("\n# ", " ").removeprefix("# ") if comment else ""
    return text.partition(". ")[0].strip().rstrip(".")


def based(path: Path) -> dict[str, Any]:
    """What the YAML file `path` says, over what the recipe that it is based on says. A value of
    null takes a key of the base away. Raises UserError on anything that is no recipe."""
    import yaml

    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"no recipe at {path} ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML: {error}") from None
    if not isinstance(data, dict):
        raise UserError(f"{TOP} has to be a mapping, not {data!r:.200}: mend {path}")
    if BASE not in data:
        return data
    if not isinstance(name := data.pop(BASE), str):
        raise UserError(f"{path}: {BASE}={name!r}: give the file name of a recipe")
    base = path.parent / name
    merged: dict[str, Any] = _over(data, based(base if base.exists() else find(name)))
    return merged


def _over(changes: Any, base: Any) -> Any:
    if not isinstance(changes, Mapping) or not isinstance(base, Mapping):
        return changes
    merged = {**base, **{k: _over(v, base.get(k)) for k, v in changes.items()}}
    return {k: v for k, v in merged.items() if not (k in changes and v is None)}


def read(cls: type[T], data: Any, where: str = TOP) -> T:
    """`data` as a `cls`, a dataclass that checks its own values; those of its fields that are
    dataclasses are read in the same way. Raises UserError on a wrong key or value; `where` names
    the place."""
    known = {f.name: f for f in dataclasses.fields(cls)}
    if not isinstance(data, Mapping):
        raise UserError(f"{where} has to be a mapping, not {data!r:.200}")
    for key in data:
        if key not in known:
            raise UserError(f"{where} has no key {key!r}: {choose_from(str(key), known)}")
    for name, field in known.items():
        if field.default is field.default_factory and name not in data:
            raise UserError(f"{where} lacks the key {name!r}")
    hints = get_type_hints(cls)
    inside = "" if where == TOP else f"{where}."
    values = {k: _value(hints[k], value, f"{inside}{k}") for k, value in data.items()}
    try:
        return cls(**values)
    except UserError as error:
        if re.match(r"\w+=", str(error)):
            raise UserError(f"{inside}{error}") from None
        raise UserError(str(error) if where == TOP else f"{where}: {error}") from None


def _value(hint: Any, value: Any, where: str) -> Any:
    """`value` read as the dataclass, or as the tuple or mapping of dataclasses, that `hint` names;
    anything else as it is, for the field's own check."""
    kinds = (k for k in (hint, *get_args(hint)) if isinstance(k, type))
    kind = next((k for k in kinds if dataclasses.is_dataclass(k)), None)
    if kind is None or value is None:
        return value
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(read(kind, v, f"{where}[{i}]") for i, v in enumerate(value))
    if get_origin(hint) is Mapping and isinstance(value, Mapping):
        return {name: read(kind, v, f"{where}.{name}") for name, v in value.items()}
    return value if get_origin(hint) in (tuple, Mapping) else read(kind, value, where)
