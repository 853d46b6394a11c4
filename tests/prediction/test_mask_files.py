"""`nnfemur predict` of DICOM series with DICOM output, and `save` of one femur."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.imaging.femur_mask import read_femur
from nnunet_femur.imaging.reading import read_ct
from nnunet_femur.prediction import Femur, Segmenter, predict
from nnunet_femur.testing import make_phantom
from tests.dicom_writing import PATIENT, write_ct
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

SPACING_MM_ZYX = (10.0, 6.0, 6.0)
FAST = {"device": "cpu", "mirror": False, "step_size": 1.0}
FORMATS = ("nrrd", "dicom-seg", "rtstruct")


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The DICOM slices of a phantom, the uppermost first."""
    phantom = make_phantom(4, side="left", size_zyx=(48, 32, 32), spacing_mm_zyx=SPACING_MM_ZYX)
    hu_zyx = sitk.GetArrayFromImage(sitk.DICOMOrient(phantom.image, "LPS"))[::-1]
    return write_ct(
        tmp_path_factory.mktemp("dicom") / "series7",
        (hu_zyx + 1024).astype(np.int16),
        PixelSpacing=[6.0, 6.0],
        z_mm=lambda index: -10.0 * index,
    )


def _values(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def _on_ct(path: Path, ct: sitk.Image) -> np.ndarray:
    """The femur in a DICOM file, on the CT's grid."""
    femur = read_femur(path)
    grid = femur.header.geometry
    part = sitk.GetImageFromArray(femur.voxels_zyx.astype(np.uint8))
    part.SetSpacing(grid.spacing_mm_xyz)
    part.SetOrigin(grid.origin_mm_xyz)
    part.SetDirection(grid.direction)
    return sitk.GetArrayFromImage(sitk.Resample(part, ct, sitk.Transform(), sitk.sitkNearestNeighbor))


@pytest.mark.integration
@pytest.mark.usefixtures("nowhere")
class TestPredict:
    def test_writes_the_same_voxels(self, series: Path, model: Path, tmp_path: Path) -> None:
        result = predict(series, model, tmp_path, formats=FORMATS, **FAST)
        assert result.results[0].error == ""
        assert set(result.results[0].files) == {"series7.nrrd", "series7.seg.dcm", "series7.rtstruct.dcm"}
        mask = sitk.ReadImage(str(tmp_path / "series7.nrrd"))
        assert _values(tmp_path / "series7.nrrd").any()
        for name in ("series7.seg.dcm", "series7.rtstruct.dcm"):
            np.testing.assert_array_equal(_on_ct(tmp_path / name, mask), sitk.GetArrayFromImage(mask))
        seg = pydicom.dcmread(tmp_path / "series7.seg.dcm")
        algorithm = seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmName == "nnunet_femur"
        assert "folds=0" in algorithm.AlgorithmParameters
        assert predict(series, model, tmp_path, formats=FORMATS, **FAST).skipped == ("series7",)

    def test_into_the_folder_of_the_slices(self, series: Path, model: Path, tmp_path: Path) -> None:
        for file in series.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        first = predict(tmp_path, model, tmp_path, formats="dicom-seg", **FAST)
        again = predict(tmp_path, model, tmp_path, formats="dicom-seg", **FAST)
        assert again.skipped == (tmp_path.name,)
        whole = predict(tmp_path, model, tmp_path, formats="dicom-seg", overwrite=True, **FAST)
        assert whole.results[0].warnings == first.results[0].warnings

    def test_refuses_other_files_before_it_loads_the_model(self, series: Path, ct: Path, tmp_path: Path) -> None:
        with refused("unsupported", ct.name):
            predict([series, ct], tmp_path / "no model", tmp_path / "out", formats="dicom-seg")
        assert not (tmp_path / "out").exists()

    def test_a_series_that_cannot_be_referred_to_fails_alone(self, series: Path, model: Path, tmp_path: Path) -> None:
        for file in sorted(series.iterdir()):
            made = pydicom.dcmread(file)
            made.SeriesInstanceUID = f"1.2.{made.SOPInstanceUID[-6:].lstrip('0')}"
            (tmp_path / "anonymised").mkdir(exist_ok=True)
            made.save_as(tmp_path / "anonymised" / file.name)
        result = predict([series, tmp_path / "anonymised"], model, tmp_path / "out", formats="rtstruct", **FAST)
        assert [case.code for case in result.results] == ["", "unsupported"]
        assert PATIENT not in result.results[1].error

    def test_command(self, series: Path, model: Path, tmp_path: Path) -> None:
        arguments = [
            "-i",
            str(series),
            "-m",
            str(model),
            "-o",
            str(tmp_path),
            "--device",
            "cpu",
            "--no-mirror",
            "--step-size",
            "1",
        ]
        ran = CliRunner().invoke(app, ["predict", *arguments, "--format", "dicom-seg", "--format", "rtstruct"])
        assert ran.exit_code == 0, ran.output
        assert {path.suffix for path in tmp_path.iterdir()} == {".dcm", ".json", ".csv"}

    def test_segmenter(self, series: Path, model: Path, tmp_path: Path) -> None:
        femur = Segmenter(model, **FAST)(series)
        assert femur.source == series
        (path,) = femur.save(tmp_path / "a.rtstruct.dcm")
        np.testing.assert_array_equal(_on_ct(path, femur.mask), sitk.GetArrayFromImage(femur.mask))


class TestSave:
    @pytest.fixture
    def femur(self) -> Femur:
        return Femur.from_mask(make_phantom(4, side="left", size_zyx=(24, 16, 16)).mask, case="L4")

    def test_refuses_dicom_without_a_series(self, femur: Femur, tmp_path: Path) -> None:
        with refused("unsupported", "L4"):
            femur.save(tmp_path / "L4.seg.dcm")
        with refused("unsupported", "L4"):
            femur.save(tmp_path, formats=("nrrd", "rtstruct"))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("name", "form"), [("L4.seg.dcm", "dicom-seg"), ("L4.rtstruct.dcm", "rtstruct")])
    def test_names(self, femur: Femur, series: Path, tmp_path: Path, name: str, form: str) -> None:
        mask = read_ct(series).image > 200
        of_series = replace(Femur.from_mask(mask, case="L4"), source=series)
        assert of_series.save(tmp_path, formats=form) == (tmp_path / name,)
        np.testing.assert_array_equal(_on_ct(tmp_path / name, mask), sitk.GetArrayFromImage(mask))
