"""Rules of the house that can be counted: size and names of modules, docstrings, codes of errors, declared imports."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections import defaultdict
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

from nnunet_femur.errors import CODES

REPOSITORY = Path(__file__).parents[1]
MODULES = sorted(
    path for part in ("nnunet_femur", "trainers", "dataset_conversion") for path in (REPOSITORY / part).rglob("*.py")
)
LONGEST = 350
"""Lines of a module: beyond it, a reader loses the thought."""

RIDDLES = {"What", "Whether", "Who", "Whose", "Where", "How", "Which", "Why", "When"}

SAME_MEANING = {
    # A verb of the command line, and the room or module of what it does.
    *("phantoms.py", "study.py", "predict.py", "compare.py", "score.py", "convert.py", "plan.py", "baseline.py"),
    # A layout of hospital files, and the command: both are TotalSegmentator's.
    "totalsegmentator.py",
    # Models and what is checked, chosen or sliced, in the room that the folder names.
    *("models.py", "options.py", "checks.py"),
}
"""Basenames that may occur more than once, since they mean the same thing wherever they occur."""

TESTS = sorted((REPOSITORY / "tests").rglob("test_*.py"))
OF_MANY_MODULES = {
    # The repository: commands of nnU-Net, examples, rules, the built package.
    *(
        "test_code_blocks",
        "test_commands",
        "test_examples",
        "test_house",
        "test_imports",
        "test_packaging",
        "test_repository",
    ),
    *("test_release", "test_windows"),
    # A room: every kind of finding, every pair of hyperparameters, several processes, public names.
    *("test_every_kind", "test_combinations", "test_several_processes", "test_public_names"),
    # The loop of prediction, review, correction and training.
    "test_the_loop",
}
"""Test files that are not named after a module, since they test a room or the repository as a whole."""


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def _definitions(path: Path) -> list[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(_tree(path)) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", MODULES, ids=_name)
class TestModule:
    def test_is_one_thought_long(self, path: Path) -> None:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST

    def test_docstrings_open_with_a_verb_or_a_noun(self, path: Path) -> None:
        openings = {(ast.get_docstring(node) or "x").split()[0] for node in _definitions(path)}
        assert not openings & RIDDLES

    def test_public_definitions_have_docstrings(self, path: Path) -> None:
        bare = [
            getattr(node, "name", path.stem)
            for node in _definitions(path)
            if not getattr(node, "name", "x").startswith("_") and ast.get_docstring(node) is None
        ]
        assert not bare

    def test_errors_have_codes(self, path: Path) -> None:
        """Each error of a user has one of the documented codes."""
        for node in ast.walk(_tree(path)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in {"FemurError", "InputError", "SetupError"}:
                given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                assert given, f"line {node.lineno}: no code"
                if isinstance(given[0], ast.Constant):
                    assert given[0].value in CODES, f"line {node.lineno}"


def test_basenames_mean_one_thing() -> None:
    places = defaultdict(list)
    for path in MODULES:
        if path.name != "__init__.py":
            places[path.name].append(_name(path))
    repeated = {name: found for name, found in places.items() if len(found) > 1 and name not in SAME_MEANING}
    assert not repeated


def test_tests_mirror_the_package() -> None:
    """A test file is where its module is, and has its name, which an aspect may follow: ``test_running_volume.py``."""
    strangers = []
    for path in TESTS:
        room = path.parent.relative_to(REPOSITORY / "tests")
        homes = [REPOSITORY / "nnunet_femur" / room, REPOSITORY / room, path.parent]
        files = [each for home in homes for each in home.glob("*") if _can_be_tested(each)]
        modules = {path.parent.name, *(each.stem.lower().replace("-", "_") for each in files)}
        name = path.stem.removeprefix("test_")
        if path.stem not in OF_MANY_MODULES and not any(f"{name}_".startswith(f"{module}_") for module in modules):
            strangers.append(_name(path))
    assert strangers == []
    repeated = [path.name for path in TESTS if [each.name for each in TESTS].count(path.name) > 1]
    assert repeated == []


def _can_be_tested(path: Path) -> bool:
    """Tell a module, a room of modules, or a page of the documentation from other files."""
    if path.is_dir():
        return (path / "__init__.py").is_file()
    return path.suffix in {".py", ".md"} and not path.stem.startswith(("test_", "__"))


def test_imports_are_declared() -> None:
    imported = set()
    for path in MODULES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    declared = {re.split(r"[^\w.-]", each)[0].lower().replace("_", "-") for each in requires("nnunet_femur") or []}
    distributions = packages_distributions()
    undeclared = {
        name
        for name in imported - set(sys.stdlib_module_names) - {"nnunet_femur"}
        if not {each.lower().replace("_", "-") for each in distributions.get(name, [name])} & declared
    }
    assert not undeclared


class TestPublicNames:
    @pytest.fixture(scope="class")
    def package(self):
        return importlib.import_module("nnunet_femur")

    def test_load_from_their_homes(self, package) -> None:
        for name in package.__all__:
            assert getattr(package, name) is not None
        assert dir(package) == sorted(package.__all__)

    def test_others_do_not_exist(self, package) -> None:
        with pytest.raises(AttributeError):
            _ = package.no_such_name

    def test_functions_and_classes_have_examples(self, package) -> None:
        without = [
            name
            for name in package.__all__
            if callable(getattr(package, name)) and ">>>" not in (getattr(package, name).__doc__ or "")
        ]
        assert without == []
