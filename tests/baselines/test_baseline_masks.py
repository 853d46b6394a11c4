"""`nnfemur baseline` of a DICOM series with DICOM output, with a replacement of TotalSegmentator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from nnunet_femur.baselines import baseline, mask_paths, worker
from nnunet_femur.baselines.baseline_masks import read_labels
from nnunet_femur.cli import app
from nnunet_femur.prediction import mask_files
from tests.dicom_writing import write_ct
from tests.refusing import refused

SHAPE_ZYX = (12, 10, 14)


@pytest.fixture
def series(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CT with one block of bone on either side, of which the replacement calls the left and the right femur."""
    hu_zyx = np.random.default_rng(0).integers(-50, 50, SHAPE_ZYX).astype(np.int16)
    hu_zyx[3:8, 3:7, 9:12] = 900
    hu_zyx[4:9, 3:7, 2:5] = 800

    def segment(ct: object, **_: object) -> np.ndarray:
        return np.where(ct.hu >= 900, 1, np.where(ct.hu >= 800, 2, 0)).astype(np.uint8)

    monkeypatch.setattr(worker, "segment", segment)
    return write_ct(base / "series", hu_zyx + np.int16(1024))


@pytest.fixture
def expected(series: Path) -> np.ndarray:
    labels = np.zeros(SHAPE_ZYX, np.uint8)
    labels[3:8, 3:7, 9:12], labels[4:9, 3:7, 2:5] = 1, 2
    return labels


class TestDicom:
    @pytest.mark.parametrize("name", ["femur.seg.dcm", "femur.rtstruct.dcm"])
    def test_has_both_sides(self, series: Path, expected: np.ndarray, tmp_path: Path, name: str) -> None:
        femur = baseline(series, tmp_path / name, device="cpu")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_labels(tmp_path / name, series)), expected)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(femur.left), expected == 1)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(femur.right), expected == 2)
        made = pydicom.dcmread(tmp_path / name)
        if name == "femur.seg.dcm":
            (algorithm,) = made.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
        else:
            (algorithm,) = made.StructureSetROISequence[0].ROIDerivationAlgorithmIdentificationSequence
        assert algorithm.AlgorithmName == "TotalSegmentator"
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted([name, "femur.run.json"])

    def test_is_written_beside_a_volume(self, series: Path, expected: np.ndarray, tmp_path: Path) -> None:
        baseline(series, tmp_path / "femur.nrrd", device="cpu", formats=("dicom-seg", "rtstruct"))
        mask = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "femur.nrrd")))
        np.testing.assert_array_equal(mask, expected > 0)
        for name in ("femur.seg.dcm", "femur.rtstruct.dcm"):
            np.testing.assert_array_equal(sitk.GetArrayFromImage(read_labels(tmp_path / name, series)), expected)

    def test_is_done_again_only_if_a_file_is_missing(self, series: Path, tmp_path: Path) -> None:
        paths = mask_paths(tmp_path / "femur.nrrd", ("dicom-seg",))

        def run() -> list[int]:
            baseline(series, paths[0], device="cpu", formats="dicom-seg")
            return [path.stat().st_mtime_ns for path in paths]

        first = run()
        assert run() == first
        paths[1].unlink()
        again = run()
        assert again[0] > first[0]
        assert set(json.loads((tmp_path / "femur.run.json").read_text())["cases"]["femur.nrrd"]["files"]) == {
            "femur.seg.dcm"
        }

    def test_that_is_no_longer_asked_for_does_not_count(self, series: Path, tmp_path: Path) -> None:
        mask, also = mask_paths(tmp_path / "femur.nrrd", ("dicom-seg",))
        baseline(series, mask, device="cpu", formats="dicom-seg")
        first = mask.stat().st_mtime_ns
        also.unlink()
        baseline(series, mask, device="cpu")
        assert mask.stat().st_mtime_ns == first

    def test_among_the_slices_is_not_part_of_the_ct(self, series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The CT is given by another path than the mask, and another program adds a mask later."""
        monkeypatch.chdir(series.parent)
        mask = Path(series.name) / "femur.nrrd"
        baseline(series, mask, device="cpu")
        first = mask.stat().st_mtime_ns
        (series / "other.seg.dcm").write_bytes((series / "IM0000").read_bytes())
        baseline(series, mask, device="cpu")
        assert mask.stat().st_mtime_ns == first

    def test_a_failure_between_two_files_leaves_none(
        self, series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            msg = "no memory"
            raise MemoryError(msg)

        monkeypatch.setattr(mask_files, "write_dicom", fail)
        with refused("program-failed", "no memory"):
            baseline(series, tmp_path / "femur.nrrd", device="cpu", formats="dicom-seg")
        assert not (tmp_path / "femur.nrrd").exists()

    def test_is_saved_from_a_result(self, series: Path, expected: np.ndarray, tmp_path: Path) -> None:
        (path,) = baseline(series, device="cpu").save(tmp_path / "a.rtstruct.dcm")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_labels(path, series)), expected)

    def test_command(self, series: Path, tmp_path: Path) -> None:
        arguments = ["baseline", "-i", str(series), "-o", str(tmp_path / "femur"), "--device", "cpu"]
        ran = CliRunner().invoke(app, [*arguments, "--format", "dicom-seg", "--format", "rtstruct"])
        assert ran.exit_code == 0, ran.output
        assert {path.name for path in tmp_path.iterdir() if path.is_file()} >= {"femur.seg.dcm", "femur.rtstruct.dcm"}


class TestRefused:
    def test_other_files_than_dicom(self, base: Path, tmp_path: Path) -> None:
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros(SHAPE_ZYX, np.int16)), str(tmp_path / "ct.nrrd"))
        with refused("unsupported", "ct.nrrd"):
            baseline(tmp_path / "ct.nrrd", tmp_path / "femur.seg.dcm", device="cpu")

    def test_a_series_that_cannot_be_referred_to(self, series: Path, tmp_path: Path) -> None:
        for index, file in enumerate(sorted(series.iterdir())):
            made = pydicom.dcmread(file)
            made.SeriesInstanceUID = f"1.2.{index + 1}"
            made.save_as(file)
        with refused("unsupported", "series"):
            baseline(series, tmp_path / "femur.nrrd", device="cpu", formats="rtstruct")
        assert not (tmp_path / "femur.nrrd").exists()

    @pytest.mark.parametrize(("name", "formats", "code"), [("a", (), "invalid-name"), ("a", ("x",), "invalid-option")])
    def test_names(self, tmp_path: Path, name: str, formats: tuple[str, ...], code: str) -> None:
        with refused(code):
            mask_paths(tmp_path / name, formats)

    def test_formats_without_an_output(self, series: Path) -> None:
        with refused("invalid-option"):
            baseline(series, formats="dicom-seg", device="cpu")

    def test_formats_of_a_dataset(self) -> None:
        ran = CliRunner().invoke(app, ["baseline", "-d", "1", "--format", "dicom-seg"])
        assert ran.exit_code == 2
