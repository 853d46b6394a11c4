"""Cases that cannot be planned are named, whatever error nnU-Net raises."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.dataset.raw import RawDataset
from nnunet_femur.errors import SetupError
from nnunet_femur.planning.case_problems import incomplete_cases, naming_bad_cases, problems_of_cases, too_thin
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

DATASET = "Dataset001_Femur"


def _write(path: Path, array_zyx: np.ndarray, spacing_mm_xyz: tuple[float, float, float] = (6, 6, 10)) -> None:
    image = sitk.GetImageFromArray(array_zyx)
    image.SetSpacing(spacing_mm_xyz)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def raw(tmp_path: Path) -> RawDataset:
    """A raw dataset of three good cases: a block of bone in air."""
    folder = tmp_path / DATASET
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    mask = np.zeros((6, 5, 4), np.uint8)
    mask[2:4, 2:4, 1:3] = 1
    for case in ("a", "b", "c"):
        _write(folder / "imagesTr" / f"{case}_0000.nrrd", mask.astype(np.int16) * 1500 - 1000)
        _write(folder / "labelsTr" / f"{case}.nrrd", mask)
    description = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "femur": 1},
        "numTraining": 3,
        "file_ending": ".nrrd",
        "overwrite_image_reader_writer": "SimpleITKIOWithReorient",
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return RawDataset.open(folder)


def _cases(problems: list[str]) -> list[str]:
    return [problem.partition(":")[0] for problem in problems]


class TestProblemsOfCases:
    def test_none(self, raw: RawDataset) -> None:
        assert problems_of_cases(raw) == []

    @pytest.mark.parametrize("change", ["nan", "cut image", "cut mask", "grid", "label", "no image"])
    def test_each_kind(self, raw: RawDataset, change: str) -> None:
        image, mask = raw.image("b"), raw.mask("b")
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(image)))
        femur = sitk.GetArrayFromImage(sitk.ReadImage(str(mask)))
        if change == "nan":
            _write(image, np.where(femur > 0, np.nan, array).astype(np.float32))
        elif change.startswith("cut"):
            path = image if change == "cut image" else mask
            path.write_bytes(path.read_bytes()[:-20])
        elif change == "grid":
            _write(mask, femur[1:])
        elif change == "label":
            _write(mask, femur * 3)
        else:
            image.unlink()
        assert _cases(problems_of_cases(raw)) == ["b"]
        assert _cases(incomplete_cases(raw)) == (["b"] if change == "no image" else [])

    def test_no_femur_at_all(self, raw: RawDataset) -> None:
        for path in raw.masks().values():
            _write(path, np.zeros((6, 5, 4), np.uint8))
        assert len(problems_of_cases(raw)) == 1, "one problem of all cases, not one for each"


class TestNamingBadCases:
    def test_behind_an_error_of_nnunet(self, raw: RawDataset) -> None:
        _write(raw.mask("b"), np.ones((1, 1, 1), np.uint8))
        _write(raw.mask("c"), np.full((6, 5, 4), 2, np.uint8))
        with refused("bad-cases", raw.folder, "b: ", "c: "), naming_bad_cases(raw, raw.folder / "log"):
            raise AssertionError

    def test_an_error_without_a_bad_case_names_the_log(self, raw: RawDataset) -> None:
        with refused("setup", "ValueError: x", "the log"), naming_bad_cases(raw, raw.folder / "the log"):
            raise ValueError("x\ny")  # noqa: EM101

    def test_our_own_errors_stay(self, raw: RawDataset) -> None:
        with refused("no-weights", "ours"), naming_bad_cases(raw, raw.folder / "log"):
            raise SetupError("ours", code="no-weights")  # noqa: EM101


class TestTooThin:
    @pytest.mark.parametrize(("thickness_mm", "found"), [(10, []), (5.1, []), (4.9, ["b"])])
    def test_below_half_a_voxel(self, raw: RawDataset, planned: Path, thickness_mm: float, found: list[str]) -> None:
        plans = json.loads((planned / "nnUNet_preprocessed" / DATASET / "nnUNetPlans.json").read_text())
        assert plans["configurations"]["3d_fullres"]["spacing"] == [10, 6, 6]
        shapes = [[48, 32, 32], [1, 32, 32], [48, 32, 32]]
        spacings = [[10, 6, 6], [thickness_mm, 6, 6], [10, 6, 6]]
        fingerprint = {"shapes_after_crop": shapes, "spacings": spacings}
        assert _cases(too_thin(raw, plans, ["3d_fullres"], fingerprint)) == found
        # Slices of configuration 2d are not resampled across.
        assert too_thin(raw, plans, ["2d"], fingerprint) == []


@pytest.mark.integration
def test_a_thin_slab_is_named_and_planned_again_without_it(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnunet_femur.dataset.environment import variables
    from nnunet_femur.planning import plan
    from tests.conftest import ONE_MACHINE

    for name, value in {**variables(tmp_path), **ONE_MACHINE}.items():
        monkeypatch.setenv(name, value)
    raw = tmp_path / "nnUNet_raw" / DATASET
    shutil.copytree(converted / "nnUNet_raw" / DATASET, raw)
    mask = sorted((raw / "labelsTr").glob("*.nrrd"))[0]
    image = raw / "imagesTr" / f"{mask.stem}_0000.nrrd"
    before = {path: path.read_bytes() for path in (image, mask)}
    for path in before:
        slab = sitk.ReadImage(str(path))[:, :, 20:21]
        slab.SetSpacing((6.0, 6.0, 0.5))
        sitk.WriteImage(slab, str(path))
    with refused("bad-cases", f"{mask.stem}: 0.5 x 192 x 192 mm"):
        plan(1, preset="small", configurations=["3d_fullres"], jobs=1)
    for path, content in before.items():
        path.write_bytes(content)
    assert plan(1, preset="small", configurations=["3d_fullres"], jobs=1)
