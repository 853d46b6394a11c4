"""Weights folders of a test's own."""

from __future__ import annotations

import shutil
import zipfile
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.weights import crop_entry, femur_entry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def weights(dummy_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dummy weights, where TotalSegmentator would look."""
    folder = tmp_path / "weights"
    shutil.copytree(dummy_weights, folder)
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(folder))
    return folder


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of a weights folder that does not exist yet."""
    folder = tmp_path / "home" / "results"
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(folder))
    return folder


@pytest.fixture
def archive(dummy_weights: Path, tmp_path: Path) -> Path:
    """The 1.5 mm model and the crop model in one archive, below a folder, as somebody might have zipped it."""
    path = tmp_path / "models.zip"
    with zipfile.ZipFile(path, "w") as file:
        for entry in (femur_entry(), crop_entry()):
            for each in sorted((dummy_weights / entry.dataset).rglob("*")):
                file.write(each, f"results/{each.relative_to(dummy_weights)}")
    return path
