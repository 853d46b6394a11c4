"""Folds of a dataset, checked before anything is trained on them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.dataset.folds import Fold, choose_fold, read_folds
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

CASES = ("a", "b", "c")


def _write(folder: Path, content: Any) -> Path:
    path = folder / "splits_final.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_reads_files_of_nnunet(tmp_path: Path) -> None:
    path = _write(tmp_path, [{"train": ["a", "b"], "val": ["c"]}, {"train": ["c"], "val": ["a", "b"]}])
    assert read_folds(path, CASES) == [Fold(("a", "b"), ("c",)), Fold(("c",), ("a", "b"))]
    assert choose_fold(path, CASES, 1).val == ("a", "b")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ([{"train": ["a"], "val": ["x", "y"]}], ["fold 0", "x, y"]),
        ([{"train": ["a", "b"], "val": ["b"]}], ["fold 0", ": b."]),
        ([{"train": ["a"], "val": ["b"]}, {"train": [], "val": ["b"]}], ["fold 1", "training"]),
        ([{"train": ["a"], "val": []}], ["fold 0", "validation"]),
        ("{", []),
        ({"train": ["a"], "val": ["b"]}, []),
        ([{"train": ["a"]}], []),
        ([3], []),
    ],
)
def test_refuses_invalid_folds(tmp_path: Path, content: Any, named: list[str]) -> None:
    path = _write(tmp_path, content)
    with refused("invalid-folds", path, *named):
        read_folds(path, CASES)


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with refused("invalid-folds", tmp_path / "splits_final.json"):
        read_folds(tmp_path / "splits_final.json", CASES)


@pytest.mark.parametrize("fold", [1, 5, -1])
def test_refuses_a_missing_fold(tmp_path: Path, fold: int) -> None:
    """nnU-Net would train on a random split instead."""
    path = _write(tmp_path, [{"train": ["a"], "val": ["b"]}])
    with refused("invalid-folds", path, fold):
        choose_fold(path, CASES, fold)
