"""The folds of a dataset, checked before anything is trained on them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.dataset.folds import Fold, choose_fold, read_folds
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

CASES = ("a", "b", "c")


def _write(folder: Path, content: Any) -> Path:
    path = folder / "splits_final.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_reads_what_nnunet_writes(tmp_path: Path) -> None:
    path = _write(tmp_path, [{"train": ["a", "b"], "val": ["c"]}, {"train": ["c"], "val": ["a", "b"]}])
    assert read_folds(path, CASES) == [Fold(("a", "b"), ("c",)), Fold(("c",), ("a", "b"))]
    assert choose_fold(path, CASES, 1).val == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"train": ["a"], "val": ["x", "y"]}], r"fold 0 names cases that are not in the dataset: x, y"),
        ([{"train": ["a", "b"], "val": ["b"]}], r"fold 0 trains on cases that it validates: b"),
        ([{"train": [], "val": ["b"]}], r"fold 0 has no case to train on"),
        ([{"train": ["a"], "val": []}], r"fold 0 has no case to validate on"),
        ("{", "is no list"),
        ({"train": ["a"], "val": ["b"]}, "is no list"),
        ([{"train": ["a"]}], "is no list"),
        ([3], "is no list"),
    ],
)
def test_refuses_by_name(tmp_path: Path, content: Any, message: str) -> None:
    path = _write(tmp_path, content)
    with pytest.raises(InputError, match=message) as caught:
        read_folds(path, CASES)
    assert str(path) in str(caught.value)


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no folds"):
        read_folds(tmp_path / "splits_final.json", CASES)


@pytest.mark.parametrize("fold", [1, 5, -1])
def test_refuses_a_fold_that_is_not_there(tmp_path: Path, fold: int) -> None:
    """nnU-Net would train on a random split instead."""
    path = _write(tmp_path, [{"train": ["a"], "val": ["b"]}])
    with pytest.raises(InputError, match=f"holds the folds 0 to 0; there is no fold {fold}"):
        choose_fold(path, CASES, fold)
