"""What is borrowed of libraries beyond their documentation: all of it listed, all of it there, and
missed by name where it is not."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from s1_eval import libraries
from s1_eval.errors import UserError

ROOT = Path(__file__).parent.parent.parent
LIBRARIES = ("inspect_ai", "lm_eval", "transformers", "trl", "vllm")
DOCUMENTED = {
    *("inspect_ai", "inspect_ai.analysis", "inspect_ai.dataset", "inspect_ai.hooks"),
    *("inspect_ai.log", "inspect_ai.model", "inspect_ai.scorer", "inspect_ai.solver"),
    *("inspect_ai.tool", "inspect_ai.util", "inspect_ai.viewer"),
    *("lm_eval.api.instance", "transformers", "trl", "vllm"),
}
"""Modules whose public names their libraries document."""


def modules(folder: Path, name: str) -> Iterator[tuple[str, str]]:
    """Name and source of every module in a folder of the package."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from modules(path, f"{name}.{path.name}")
        elif path.suffix == ".py":
            yield name if path.stem == "__init__" else f"{name}.{path.stem}", path.read_text()


SOURCES = dict(modules(ROOT / "s1_eval", "s1_eval"))
for _beside in ("solvers", "tasks", "training"):
    SOURCES |= modules(ROOT / _beside, f"s1_eval.{_beside}")
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}


def imports(tree: ast.Module) -> Iterator[str]:
    """What is imported of the libraries, as `module:name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}:{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (f"{alias.name}:" for alias in node.names)


def defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def undocumented(name: str) -> bool:
    module, _, attribute = name.partition(":")
    ours = module.partition(".")[0] in LIBRARIES
    return ours and (module not in DOCUMENTED or attribute.startswith("_"))


def test_what_is_imported_is_documented_or_listed():
    for module, tree in TREES.items():
        listed = libraries.BORROWED.get(module, ())
        for name in filter(undocumented, imports(tree)):
            beginnings = (name, name.replace(":", ".") + ":")  # a name, or a module of a package
            assert any(known.startswith(beginnings) for known in listed), f"{module}: {name}"


def test_no_private_attribute_is_used_that_is_neither_ours_nor_listed():
    own = {name for tree in TREES.values() for name in defined(tree)}
    listed = {name.rpartition(".")[2] for names in libraries.BORROWED.values() for name in names}
    strange = {
        f"{module}: {node.attr}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        if re.match("_[^_]", node.attr) and node.attr not in own | listed
    }
    assert not strange


@pytest.mark.parametrize("module", libraries.BORROWED)
def test_who_borrows_checks_first(module):
    if module != "s1_eval.harness.lm_eval_hook":  # which says what fails, and goes on
        assert "libraries.check(__name__)" in SOURCES[module]


NAMES = sorted({name for names in libraries.BORROWED.values() for name in names})


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_is_borrowed_is_there(name):
    library = name.partition(":")[0].partition(".")[0]
    if not importlib.util.find_spec(library):
        pytest.skip(f"{library} is not installed")
    pkgutil.resolve_name(name)


@pytest.mark.parametrize(
    "moved",
    ["transformers.utils:Moved", "transformers.moved:x", "transformers.utils:cached_file.moved"],
)
def test_what_has_moved_is_named_with_the_versions_that_have_it(monkeypatch, moved):
    import transformers

    monkeypatch.setitem(libraries.BORROWED, "a.module", ("transformers.utils:cached_file", moved))
    said = f"{re.escape(moved)} .*transformers {re.escape(transformers.__version__)} is installed"
    with pytest.raises(UserError, match=said):
        libraries.check("a.module")


def required() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for lines in extras for line in lines)]
    found = (re.fullmatch(r"([\w-]+)(?:\[.*\])?(.*)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize(
    "package",
    [
        *("accelerate", "datasets", "inspect-ai", "lm-eval", "math-verify", "tokenizers", "torch"),
        *("transformers", "trl", "vllm"),
    ],
)
def test_what_numbers_depend_on_has_two_bounds(package):
    assert re.fullmatch(r">=[\d.]+,<[\d.]+", required()[package])


def test_the_lowest_bounds_are_those_that_tox_installs():
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    lowest = dict(re.findall(r"^([\w-]+)==([\d.]+)$", tox["testenv:lowest"]["deps"], re.M))
    assert set(lowest) >= {"transformers", "tokenizers", "datasets", "accelerate"}
    for package, version in lowest.items():
        bound = required()[package].partition(",")[0].removeprefix(">=")
        assert version.removesuffix(".0").removesuffix(".0") == bound.removesuffix(".0")
