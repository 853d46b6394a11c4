"""Who may import whom, as the design says: downwards only, and nothing heavy where it is forbidden."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

BASE = {"version", "errors", "files", "processes", "progress", "environment", "volumes", "imaging", "folds"} | {
    "findings",
    "kinds",
}
MAY_IMPORT = {
    "version": set(),
    "errors": set(),
    "files": {"errors"},
    "internet": set(),
    "processes": set(),
    "processor": set(),
    "progress": set(),
    "environment": {"errors"},
    "volumes": {"errors", "files"},
    "findings": {"errors", "files"},
    "kinds": {"findings"},
    "imaging": {"errors", "files", "findings", "kinds", "volumes"},
    "folds": {"errors"},
    "guard": {"errors", "files"},
    "phantoms": BASE,
    "intake": BASE,
    "planning": BASE | {"guard", "training", "weights"},
    "weights": {"errors", "files", "internet", "progress"},
    "baseline": BASE | {"planning", "weights"},
    "standin": BASE | {"phantoms", "weights"},
    "networks": {"errors", "files", "guard", "internet", "processor"},
    "training": BASE | {"guard", "networks", "weights"},
    "prediction": BASE | {"processor", "weights"},
    "doctor": BASE | {"networks", "weights"},
    "trainers": {"training"},
    "ext_trainers": {"trainers"},
    "dataset_conversion": BASE | {"intake"},
    "evaluation": {"errors", "findings", "imaging", "kinds", "volumes"},
    "comparison": BASE | {"evaluation"},
    "study": BASE | {"planning", "training", "weights"},
    "demo": {"errors", "files", "study"},
    "cli": BASE
    | {
        "phantoms",
        "intake",
        "planning",
        "comparison",
        "demo",
        "study",
        "networks",
        "weights",
        "baseline",
        "prediction",
        "doctor",
    },
    "__main__": {"cli"},
    "__init__": {"version"},
}
"""For each part of the package, the parts that it may import; itself is understood."""

WITHOUT_TORCH = (
    *("cli", "phantoms", "intake", "dataset_conversion", "evaluation", "comparison"),
    *("volumes", "imaging", "folds"),
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
    assert part in MAY_IMPORT, f"{part}: say in this test what it may import"
    known = _parts(_imported(path)) & set(MAY_IMPORT)
    assert known <= MAY_IMPORT[part] | {part}


@pytest.mark.parametrize("part", WITHOUT_TORCH)
def test_parts_without_torch_name_nothing_heavy(part: str) -> None:
    for path, of_part in _modules().items():
        if of_part == part:
            assert not {name.split(".")[0] for name in _imported(path)} & HEAVY, path


def test_parts_without_torch_load_nothing_heavy() -> None:
    """What they import may import something: only a fresh interpreter tells."""
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
