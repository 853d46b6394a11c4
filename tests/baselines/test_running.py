"""The public function: one CT in, a femur out."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk

import nnunet_femur as nf
from nnunet_femur.baselines import device_name, worker
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.progress import Silent
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def image() -> sitk.Image:
    """A CT with two bones, stored in an order that is not RAS."""
    array = np.full((8, 9, 10), -1000, np.int16)
    array[1:7, 3:6, 1:4] = 900
    array[1:7, 3:6, 6:8] = 800
    found = sitk.GetImageFromArray(array)
    found.SetSpacing((6.0, 6.0, 6.0))
    return sitk.DICOMOrient(found, "ASR")


@pytest.fixture
def temporary(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, with a TotalSegmentator that calls 900 HU left and 800 HU right."""

    def sides(ct: Any, **_: object) -> np.ndarray:
        return ((ct.hu == 900) + 2 * (ct.hu == 800)).astype(np.uint8)

    monkeypatch.setattr(worker, "segment", sides)
    (base / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(base / "temporary"))
    return base / "temporary"


def _array(image: sitk.Image | None) -> np.ndarray:
    assert image is not None
    return sitk.GetArrayFromImage(image)


def test_image_file_and_dicom_have_the_same_femur(
    image: sitk.Image, temporary: Path, tmp_path: Path, write_slices: Callable[..., Path]
) -> None:
    sitk.WriteImage(image, str(tmp_path / "ct_0000.nrrd"))
    for ct, case in ((image, "image"), (tmp_path / "ct_0000.nrrd", "ct"), (str(tmp_path / "ct_0000.nrrd"), "ct")):
        femur = nf.baseline(ct, device="cpu")
        assert femur.case == case
        hu = sitk.GetArrayFromImage(image)
        assert np.array_equal(_array(femur.mask), hu > 0)
        assert np.array_equal(_array(femur.left), hu == 900)
        assert np.array_equal(_array(femur.right), hu == 800)
        assert femur.mask.GetPixelID() == sitk.sitkUInt8
        assert not Geometry.of(femur.mask).differences(Geometry.of(image))
        assert (femur.volume_ml, femur.pieces) == (pytest.approx(90 * 0.216), 2)
        assert not list(temporary.iterdir()), "nothing is left"
    folder = write_slices(tmp_path / "dicom", sitk.GetArrayFromImage(image))
    assert nf.baseline(folder, device="cpu").case == "dicom"


def test_a_written_mask_is_not_made_again(image: sitk.Image, temporary: Path, tmp_path: Path) -> None:
    ct, output = tmp_path / "ct.nrrd", tmp_path / "new" / "femur.nii.gz"
    sitk.WriteImage(image, str(ct))
    femur = nf.baseline(ct, str(output), device="cpu")
    assert (femur.left, femur.right) == (None, None)
    written = output.stat().st_mtime_ns
    assert nf.baseline(ct, output, device="cpu").volume_ml == femur.volume_ml
    assert output.stat().st_mtime_ns == written
    femur = nf.baseline(ct, output, sides=True, device="cpu")
    assert set(np.unique(_array(sitk.ReadImage(str(output))))) == {0, 1, 2}
    assert set(np.unique(_array(femur.mask))) == {0, 1}
    assert _array(femur.right).any()


def test_progress_names_the_case(image: sitk.Image, temporary: Path, tmp_path: Path) -> None:
    events: list[tuple[str, str]] = []

    class Watch(Silent):
        def begin(self, task: str, total: float | None = None) -> None:
            events.append(("begin", task.strip()))

        def end(self, task: str, message: str = "") -> None:
            events.append(("end", task.strip()))

    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    nf.baseline(tmp_path / "ct.nrrd", tmp_path / "femur.nrrd", device="cpu", progress=Watch())
    assert events == [
        (state, "TotalSegmentator" if outer else "femur.nrrd")
        for state, outer in (("begin", True), ("begin", False), ("end", False), ("end", True))
    ]


class TestProblems:
    def test_no_femur(self, image: sitk.Image, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker, "segment", lambda ct, **_: np.zeros(ct.hu.shape, np.uint8))
        with refused("no-femur"):
            nf.baseline(image, device="cpu")
        assert not list(temporary.iterdir()), "no CT is left"

    def test_a_log_that_is_named_is_kept(
        self, image: sitk.Image, temporary: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("nnunet_femur.baselines.worker_process._worker", lambda *_: iter(()))
        with refused("program-failed") as raised:
            nf.baseline(image, device="cpu")
        (log,) = temporary.rglob("*.log")
        assert str(log) in str(raised.value)
        assert {path for path in temporary.rglob("*") if path.is_file()} <= {log, log.with_name("femur.run.json")}

    def test_a_ct_that_does_not_exist(self, temporary: Path) -> None:
        with refused("not-found", "nowhere.nrrd"):
            nf.baseline("nowhere.nrrd", device="cpu")


@pytest.mark.parametrize(
    ("device", "name"), [("cpu", "cpu"), ("cuda", "gpu"), ("cuda:1", "gpu:1"), ("gpu:1", "gpu:1"), ("mps", "mps")]
)
def test_names_of_devices(device: str, name: str) -> None:
    assert device_name(device) == name
