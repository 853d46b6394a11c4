"""A dataset of four training and two test cases, and models that have validated its folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.validated import write_dataset, write_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

DATASET = "Dataset003_Femur"
CASES, TEST = ("L1", "L2", "L3", "R4"), ("L5", "R6")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The raw dataset; folds 0 and 1 cross-validate."""
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "nnUNet_raw"))
    val = [CASES[:2], CASES[2:]]
    return write_dataset(tmp_path / "nnUNet_raw" / DATASET, CASES, TEST, val=val)


@pytest.fixture
def model(tmp_path: Path, raw: Path) -> Callable[..., Path]:
    """Write a model whose probability of femur is a factor times the reference, or what a function returns."""

    def write(
        trainer: str,
        femur: float | Callable[[str, NDArray[np.float32]], NDArray[np.float32]],
        *,
        folds: tuple[int, ...] = (0, 1),
        **options: object,
    ) -> Path:
        folder = tmp_path / "nnUNet_results" / DATASET / f"{trainer}__nnUNetPlans__3d_fullres"
        function = femur if callable(femur) else lambda _, reference: np.float32(femur) * reference
        return write_model(folder, raw, function, folds=folds, **options)

    return write
