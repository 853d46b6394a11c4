"""A tiny dataset and its results, for every test of the comparison."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

if TYPE_CHECKING:
    from pathlib import Path

TRAIN = ("L1", "L2", "L3", "L4", "R5")
TEST = ("L6", "R7")


def bone(shift: int = 0) -> np.ndarray:
    """A box of 4 x 4 x 4 voxels; moved up by one slice it has a Dice of 0.75 with itself."""
    voxels = np.zeros((10, 11, 12), dtype=np.uint8)
    voxels[2 + shift : 6 + shift, 3:7, 4:8] = 1
    return voxels


def ct_of(voxels: np.ndarray, bone_hu: int = 400) -> np.ndarray:
    """A CT of soft tissue with noise, air in front, and a bone of this mean HU."""
    hu = np.random.default_rng(0).normal(50, 20, voxels.shape).round().astype(np.int16)
    hu[:, :3] = -1000
    hu[voxels > 0] += np.int16(bone_hu - 50)
    return hu


def write(path: Path, voxels: np.ndarray, *, origin_mm: float = 0.0) -> Path:
    """Write voxels of 2 x 2 x 5 mm, which is 0.02 ml."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((2.0, 2.0, 5.0))
    image.SetOrigin((origin_mm, 0.0, 0.0))
    sitk.WriteImage(image, str(path))
    return path


@dataclass(frozen=True)
class Tree:
    """nnU-Net's raw and results folder with one dataset of five cases for training and two for testing."""

    base: Path
    dataset: str = "Dataset001_Femur"

    @property
    def results(self) -> Path:
        return self.base / "nnUNet_results"

    @property
    def raw(self) -> Path:
        return self.base / "nnUNet_raw" / self.dataset

    def method(self, name: str) -> Path:
        return self.results / self.dataset / name

    def add_raw(self) -> Tree:
        for labels, images, cases in (("labelsTr", "imagesTr", TRAIN), ("labelsTs", "imagesTs", TEST)):
            for case in cases:
                write(self.raw / labels / f"{case}.nrrd", bone())
                write(self.raw / images / f"{case}_0000.nrrd", bone().astype(np.int16) * 700)
        (self.raw / "dataset.json").write_text(json.dumps({"file_ending": ".nrrd"}))
        validated = [*([case] for case in TRAIN), list(TRAIN[:2])]
        folds = [{"train": [case for case in TRAIN if case not in val], "val": val} for val in validated]
        (self.raw / "splits_final.json").write_text(json.dumps(folds))
        rows = [f"{case},patient{case[1]},{case[0]},train" for case in TRAIN + TEST]
        (self.raw / "cases.csv").write_text("\n".join(["case,patient,side,set", *rows]) + "\n")
        return self

    def predict(self, method: str, part: str, cases: tuple[str, ...], *, shift: int = 0) -> Path:
        folder = self.method(method) / part
        for case in cases:
            write(folder / f"{case}.nrrd", bone(shift))
        return folder

    def validate(self, method: str, fold: int, *, shift: int = 0) -> Path:
        cases = TRAIN[:2] if fold == 5 else (TRAIN[fold],)
        return self.predict(method, f"fold_{fold}/validation", cases, shift=shift)

    def test(self, method: str, part: str = "test", *, shift: int = 0) -> Path:
        return self.predict(method, part, TEST, shift=shift)


@pytest.fixture
def undrawn(monkeypatch):
    """Leaves the figures out, which take longer than everything else."""
    monkeypatch.setattr("nnunet_femur.comparison.report.figures.draw_all", lambda *_, **__: ([], []))


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Tree:
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.delenv(name, raising=False)
    return Tree(tmp_path).add_raw()
