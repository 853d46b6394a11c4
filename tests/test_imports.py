"""Imports between rooms: downwards only, and nothing heavy where it is forbidden."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

FLOORS = (
    {"version", "errors", "lazy_names", "page_templates", "progress", "processes"},
    {"archives", "arguments", "atomic_files"},
    {"records", "shards"},
    {"findings"},
    {"kinds"},
    {"imaging"},
    {"dataset"},
    {"consistency", "recipe", "networks", "evaluation"},
    {"weights", "measurement"},
    {"testing"},
    {"conversion", "prediction", "training", "comparison", "doctor"},
    {"trainers", "dataset_conversion", "planning", "selection", "reviewing"},
    {"ext_trainers", "baselines", "model_export", "study"},
    {"__init__"},
    {"cli"},
    {"__main__"},
)
"""Parts of the package from the ground upwards: a part imports itself and parts of lower floors only."""

FLOOR = {part: number for number, parts in enumerate(FLOORS) for part in parts}

WITHOUT_TORCH = (
    *("cli", "conversion", "dataset_conversion", "evaluation", "comparison"),
    *("imaging", "dataset", "measurement"),
)
HEAVY = {"torch", "nnunetv2", "batchgenerators", "batchgeneratorsv2", "segmentation_models_pytorch", "totalsegmentator"}


def _modules() -> dict[Path, str]:
    """Every source file, with the part of the package that it belongs to."""
    found = {}
    for path in (REPOSITORY / "nnunet_femur").rglob("*.py"):
        found[path] = path.relative_to(REPOSITORY / "nnunet_femur").parts[0].removesuffix(".py")
    for folder in ("trainers", "dataset_conversion"):
        found |= dict.fromkeys((REPOSITORY / folder).rglob("*.py"), folder)
    return found


def _imported(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, also inside functions and for types only."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _parts(names: set[str]) -> set[str]:
    """The parts of this package among dotted names."""
    return {name.split(".")[1] for name in names if name.startswith("nnunet_femur.")}


@pytest.mark.parametrize(("path", "part"), _modules().items(), ids=lambda value: getattr(value, "stem", value))
def test_imports_go_downwards(path: Path, part: str) -> None:
    assert part in FLOOR, f"{part}: give it a floor in this test"
    above = {other for other in _parts(_imported(path)) & set(FLOOR) if other != part and FLOOR[other] >= FLOOR[part]}
    assert not above


def test_no_modules_import_each_other() -> None:
    """Circles are refused also where the imports are for types only or inside functions."""
    modules = {_dotted(path): path for path in _modules()}
    graph = {name: {other for other in _imported(path) if other in modules} for name, path in modules.items()}
    # The face of a package hands on the names of its modules.
    graph = {name: used for name, used in graph.items() if modules[name].name != "__init__.py"}
    assert not _circle(graph)


def _dotted(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    parts = parts if parts[0] == "nnunet_femur" else ("nnunet_femur", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _circle(graph: dict[str, set[str]]) -> tuple[str, ...]:
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return tuple(error.args[1])
    return ()


@pytest.mark.parametrize("part", WITHOUT_TORCH)
def test_parts_without_torch_name_nothing_heavy(part: str) -> None:
    for path, of_part in _modules().items():
        if of_part == part:
            assert not {name.split(".")[0] for name in _imported(path)} & HEAVY, path


def test_parts_without_torch_load_nothing_heavy() -> None:
    """Imports of imports count too, hence a fresh interpreter."""
    # The study asks torch for GPUs, but only when it runs.
    modules = ", ".join(f"nnunet_femur.{part}" for part in (*WITHOUT_TORCH, "study"))
    code = f"import sys, {modules}; print(sorted(set(sys.modules) & {HEAVY!r}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]"


def test_help_loads_nothing_slow() -> None:
    slow = {"numpy", "SimpleITK", "pandas", "torch", "pydantic"}
    code = f"import sys, nnunet_femur.cli; print(sorted(set(sys.modules) & {slow!r}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]"
