"""The layout of TotalSegmentator's public dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.conversion.layouts import find_cases
from nnunet_femur.conversion.options import MIN_VOLUME_ML, ConversionOptions
from nnunet_femur.findings import Severity
from tests.refusing import refused

OPTIONS = ConversionOptions(layout="totalsegmentator")


def _write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((10.0, 10.0, 10.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def dataset(tmp_path):
    """A function that adds a subject with femurs of so many millilitres; a voxel is one."""

    def add(subject: str, left_ml: int | None = 200, right_ml: int | None = 200) -> Path:
        _write(tmp_path / subject / "ct.nii.gz", np.zeros((6, 9, 9), np.int16))
        for side, volume_ml in (("left", left_ml), ("right", right_ml)):
            mask = np.zeros((6, 9, 9), np.uint8)
            mask.flat[: volume_ml or 0] = 1
            if volume_ml is not None:
                _write(tmp_path / subject / f"segmentations/femur_{side}.nii.gz", mask)
        return tmp_path

    return add


def _meta(folder: Path, **sets: str) -> None:
    rows = "".join(f"{subject};56;f;{name};siemens\n" for subject, name in sets.items())
    (folder / "meta.csv").write_text(f"image_id;age;gender;split;manufacturer\n{rows}", encoding="utf-8")


class TestSubjects:
    def test_both_femurs_are_one_case(self, dataset):
        folder = dataset("s0001")
        _meta(folder, s0001="train")
        found = find_cases(folder, OPTIONS)
        (case,) = found.cases
        assert (case.id, case.patient, case.side, case.set) == ("S0001", "S0001", "both", "train")
        assert case.image == Path("s0001/ct.nii.gz")
        assert case.masks == tuple(Path(f"s0001/segmentations/femur_{side}.nii.gz") for side in ("left", "right"))
        assert found.findings == ()

    @pytest.mark.parametrize(
        ("written", "set_name"), [("train", "train"), ("val", "validation"), ("test", "test"), ("", ""), ("x", "")]
    )
    def test_the_split_column_is_honoured(self, dataset, written, set_name):
        folder = dataset("s0001")
        _meta(folder, s0001=written)
        found = find_cases(folder, OPTIONS)
        assert found.cases[0].set == set_name
        assert [f.code for f in found.findings] == ([] if set_name else ["no-set"])

    def test_without_a_table(self, dataset):
        found = find_cases(dataset("s0001"), OPTIONS)
        assert found.cases[0].set == ""

    @pytest.mark.parametrize(
        ("left_ml", "right_ml", "code", "named"),
        [
            (0, 200, "femur-missing", ("femur_left.nii.gz",)),
            (200, None, "femur-missing", ("femur_right.nii.gz",)),
            (None, None, "femur-missing", ("femur_left.nii.gz", "femur_right.nii.gz")),
            (200, 49, "femur-cut", ("femur_right.nii.gz", "49.0 ml", "50 ml")),
        ],
    )
    def test_subjects_that_are_left_out(self, dataset, left_ml, right_ml, code, named):
        dataset("s0001")
        found = find_cases(dataset("s0002", left_ml, right_ml), OPTIONS)
        assert [case.id for case in found.cases] == ["S0001"]
        (finding,) = [finding for finding in found.findings if finding.code != "no-set"]
        assert finding.code == code
        assert all(each in str(finding) for each in named)

    def test_the_least_volume_is_an_option(self, dataset):
        folder = dataset("s0001", 50, 200)
        assert MIN_VOLUME_ML == 50
        assert len(find_cases(folder, OPTIONS).cases) == 1
        with refused("no-cases", folder, "50.0 ml", "51 ml"):
            find_cases(folder, ConversionOptions(layout="totalsegmentator", min_volume_ml=51))

    def test_a_subject_that_cannot_be_read_is_left_out_and_named(self, dataset):
        dataset("s0001")
        folder = dataset("s0002")
        path = folder / "s0002/segmentations/femur_left.nii.gz"
        path.write_bytes(path.read_bytes()[:-20])
        found = find_cases(folder, OPTIONS)
        assert [case.id for case in found.cases] == ["S0001"]
        (left_out,) = (found for found in found.findings if found.code == "unreadable")
        assert left_out.severity is Severity.WARNING
        assert left_out.file == "s0002/segmentations/femur_left.nii.gz"

    def test_other_folders_do_not_matter(self, dataset):
        folder = dataset("s0001")
        (folder / "notes").mkdir()
        assert len(find_cases(folder, OPTIONS).cases) == 1

    def test_no_subjects(self, tmp_path):
        with refused("no-cases", tmp_path, "ct.nii.gz"):
            find_cases(tmp_path, OPTIONS)


def test_the_real_sample(shared):
    found = find_cases(shared / "ct/totalsegmentator_dataset", ConversionOptions())
    assert [(case.id, case.side, case.set) for case in found.cases] == [("S0001", "both", "train")]
    assert [finding.code for finding in found.findings] == ["layout"]
