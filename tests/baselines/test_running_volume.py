"""One volume: kinds of files, orientation, sides, and what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from nnunet_femur.baselines import Settings, run_on_dataset, run_on_volume, running, worker
from nnunet_femur.baselines import worker_process as process
from nnunet_femur.baselines.baseline_record import recorded_warnings
from nnunet_femur.baselines.oriented_ct import OrientedCt
from nnunet_femur.baselines.settings import Job, Outcome
from nnunet_femur.imaging.geometry import Geometry, VolumeError
from nnunet_femur.testing import phantom_cases, write_dummy_weights
from nnunet_femur.weights import femur_entry
from tests.refusing import refused

ORDERS = ("LPS", "RAS", "ASR", "PIL")


def _ct() -> sitk.Image:
    image = sitk.GetImageFromArray(np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6))
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    return image


class TestOrientedCt:
    @pytest.mark.parametrize("order", ORDERS)
    def test_totalsegmentator_sees_the_same_voxels(self, order: str, tmp_path: Path) -> None:
        path = tmp_path / "ct.nrrd"
        sitk.WriteImage(sitk.DICOMOrient(_ct(), order), str(path))
        nifti = OrientedCt.read(path).as_nifti()
        expected = sitk.GetArrayFromImage(sitk.DICOMOrient(_ct(), "RAS")).transpose(2, 1, 0)
        np.testing.assert_array_equal(nifti.get_fdata(), expected)
        assert nifti.header.get_zooms() == (1.0, 2.0, 3.0)

    @pytest.mark.parametrize("order", ORDERS)
    def test_masks_come_back_onto_the_grid(self, order: str, tmp_path: Path) -> None:
        stored = sitk.DICOMOrient(_ct(), order)
        path = tmp_path / "ct.nrrd"
        sitk.WriteImage(stored, str(path))
        ct = OrientedCt.read(path)
        ct.write_mask((ct.hu > 60).astype(np.uint8), tmp_path / "new" / "mask.nii.gz")
        mask = sitk.ReadImage(str(tmp_path / "new" / "mask.nii.gz"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), sitk.GetArrayFromImage(stored) > 60)
        assert not Geometry.of(mask).differences(Geometry.of(stored))

    def test_oblique_axes(self, tmp_path: Path) -> None:
        stored = _ct()
        tilt = sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.4).GetMatrix()
        stored.SetDirection(tilt)
        sitk.WriteImage(stored, str(tmp_path / "ct.nrrd"))
        ct = OrientedCt.read(tmp_path / "ct.nrrd")
        ct.write_mask((ct.hu > 60).astype(np.uint8), tmp_path / "mask.nrrd")
        mask = sitk.ReadImage(str(tmp_path / "mask.nrrd"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), sitk.GetArrayFromImage(stored) > 60)
        assert not Geometry.of(mask).differences(Geometry.of(stored), tolerance_voxels=1e-6)

    def test_dicom_folder(self, write_slices, tmp_path: Path) -> None:
        array = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
        ct = OrientedCt.read(write_slices(tmp_path / "dicom", array))
        assert ct.hu.shape == (4, 5, 6)
        assert sorted(ct.hu.ravel()) == sorted(array.ravel())

    @pytest.mark.parametrize("name", ["MR_small.dcm", "rtdose.dcm", "CT_small.dcm", "dicomdirtests/98892003"])
    def test_dicom_that_is_not_a_ct(self, name: str) -> None:
        path = Path(pydicom.__file__).parent / "data/test_files" / name
        with pytest.raises(VolumeError) as raised:
            OrientedCt.read(path)
        assert raised.value.path == path


class TestOneCase:
    @pytest.fixture
    def job(self, tmp_path: Path) -> Job:
        self._write_ct(tmp_path, np.random.default_rng(0).integers(-900, 1500, (4, 5, 6)).astype(np.int16))
        return Job("a", tmp_path / "ct.nrrd", tmp_path / "mask.nrrd")

    @staticmethod
    def _write_ct(folder: Path, hu: np.ndarray) -> None:
        image = sitk.GetImageFromArray(hu)
        image.SetSpacing((3.0, 3.0, 3.0))
        sitk.WriteImage(image, str(folder / "ct.nrrd"))

    @staticmethod
    def _segment(monkeypatch: pytest.MonkeyPatch, sides: np.ndarray) -> None:
        monkeypatch.setattr(worker, "segment", lambda ct, **_: sides)

    @staticmethod
    def _settings(**options: object) -> dict[str, object]:
        return {"fast": False, "sides": False, "robust_crop": False, "device": "cpu", **options}

    def test_either_femur_or_both_sides(self, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        sides = np.zeros((4, 5, 6), np.uint8)
        sides[0, 0, :2] = 1, 2
        self._segment(monkeypatch, sides)
        for keep, expected in ((False, [118, 2]), (True, [118, 1, 1])):
            outcome = worker._run(job, self._settings(sides=keep))
            assert outcome.problem is None
            assert outcome.volume_ml == pytest.approx(2 * 27 / 1000)
            assert np.bincount(sitk.GetArrayFromImage(sitk.ReadImage(str(job.output))).ravel()).tolist() == expected

    def test_an_empty_mask_is_a_failure(self, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        self._segment(monkeypatch, np.zeros((4, 5, 6), np.uint8))
        outcome = worker._run(job, self._settings())
        assert outcome.code == "no-femur"
        assert str(job.ct) in str(outcome.problem)
        assert not job.output.exists()

    def test_values_that_are_not_hu_are_refused(
        self, job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        sides = np.ones((4, 5, 6), np.uint8)
        self._segment(monkeypatch, sides)
        self._write_ct(tmp_path, np.random.default_rng(0).integers(100, 2500, (4, 5, 6)).astype(np.int16))
        outcome = worker._run(job, self._settings())
        assert outcome.code == "image-positive"
        assert not job.output.exists()
        outcome = worker._run(job, self._settings(any_values=True))
        assert outcome.problem is None
        assert len(outcome.warnings) == 1
        assert Outcome(**json.loads(json.dumps(outcome.as_dict()))).warnings == [*outcome.warnings]

    def test_a_thin_slab_is_refused(self, job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self._segment(monkeypatch, np.ones((3, 5, 6), np.uint8))
        self._write_ct(tmp_path, np.random.default_rng(0).integers(-900, 1500, (3, 5, 6)).astype(np.int16))
        for any_values in (False, True):
            assert worker._run(job, self._settings(any_values=any_values)).code == "too-thin"

    @pytest.mark.parametrize("error", [RuntimeError("no memory"), SystemExit(1)])
    def test_whatever_stops_totalsegmentator(
        self, error: BaseException, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(ct: object, **_: object) -> None:
            raise error

        monkeypatch.setattr(worker, "segment", fail)
        outcome = worker._run(job, self._settings())
        assert outcome.code == "program-failed"
        assert type(error).__name__ in str(outcome.problem)


class TestProcesses:
    def test_a_case_that_ends_the_process_does_not_lose_the_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        jobs = [Job(name, tmp_path / name, tmp_path / f"{name}.nrrd") for name in "abc"]
        started = []

        def dies_at_b(left, *_):
            started.append([job.case for job in left])
            for job in left:
                yield {"begins": job.case}
                if job.case == "b":
                    return
                yield {"case": job.case, "seconds": 1.0, "problem": None, "volume_ml": 1.0}

        monkeypatch.setattr(process, "_worker", dies_at_b)
        outcomes = list(process.run_jobs(jobs, Settings(), (), log=tmp_path / "log"))
        assert started == [["a", "b", "c"], ["c"]]
        assert [(one.case, one.problem is None) for one in outcomes] == [("a", True), ("b", False), ("c", True)]

    def test_a_process_that_never_begins_fails_all_and_ends(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        jobs = [Job(name, tmp_path / name, tmp_path / f"{name}.nrrd") for name in "ab"]
        monkeypatch.setattr(process, "_worker", lambda *_: iter(()))
        outcomes = list(process.run_jobs(jobs, Settings(), (), log=tmp_path / "log"))
        assert [one.case for one in outcomes] == ["a", "b"]
        assert all(one.problem for one in outcomes)


class TestRerun:
    """Cases that are segmented again, with TotalSegmentator's process replaced by one that writes the mask at once."""

    @pytest.fixture
    def started(self, dummy_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        shutil.copytree(dummy_weights, tmp_path / "weights")
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "weights"))
        started: list[str] = []

        def segment(jobs, *_, **__):
            for job in jobs:
                started.append(job.case)
                if "fail" in job.ct.read_text():
                    yield Outcome(job.case, 1.0, "failed", code="no-femur")
                else:
                    job.output.parent.mkdir(parents=True, exist_ok=True)
                    job.output.write_text("mask")
                    yield Outcome(job.case, 1.0, volume_ml=2.0, warnings=("doubtful",))

        monkeypatch.setattr(running, "run_jobs", segment)
        return started

    @pytest.fixture
    def raw(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name in ("nnUNet_raw", "nnUNet_results"):
            monkeypatch.setenv(name, str(tmp_path / name))
        raw = tmp_path / "nnUNet_raw" / "Dataset001_Femur"
        for part, case in (("imagesTr", "a"), ("imagesTs", "b"), ("imagesTs", "c")):
            (raw / part).mkdir(parents=True, exist_ok=True)
            (raw / part / f"{case}_0000.nrrd").write_text("fail" if case == "b" else "ct")
        (raw / "dataset.json").write_text(json.dumps({"file_ending": ".nrrd"}))
        return raw

    def test_does_what_is_missing(self, raw: Path, started: list[str]) -> None:
        with refused("no-femur", "1 of 3"):
            run_on_dataset(1, Settings())
        (raw / "imagesTs" / "b_0000.nrrd").write_text("repaired")
        folder = run_on_dataset(1, Settings())
        assert started == ["a", "b", "c", "b"]
        run_on_dataset(1, Settings())
        (folder / "test" / "c.nrrd").unlink()
        run_on_dataset(1, Settings(device="gpu"))
        assert started == ["a", "b", "c", "b", "c"]

    def test_changed_ct_is_done_again(self, raw: Path, started: list[str]) -> None:
        (raw / "imagesTs" / "b_0000.nrrd").write_text("ct")
        run_on_dataset(1, Settings())
        (raw / "imagesTr" / "a_0000.nrrd").write_text("another ct")
        run_on_dataset(1, Settings())
        assert started == ["a", "b", "c", "a"]

    def test_other_weights_do_everything_again(self, raw: Path, started: list[str], tmp_path: Path) -> None:
        (raw / "imagesTs" / "b_0000.nrrd").write_text("ct")
        folder = run_on_dataset(1, Settings())
        write_dummy_weights(
            tmp_path / "weights",
            features=2,
            patch=16,
            iterations=0,
            seed=1,
            tasks=("femur",),
            training=list(phantom_cases(2, spacing_mm=16.0)),
        )
        assert run_on_dataset(1, Settings()) == folder
        assert started == ["a", "b", "c"] * 2

    def test_one_volume(self, started: list[str], tmp_path: Path) -> None:
        (tmp_path / "ct.nrrd").write_text("ct")
        for _ in range(2):
            record = run_on_volume(tmp_path / "ct.nrrd", tmp_path / "new" / "femur.nii.gz", Settings())
        assert record == tmp_path / "new" / "femur.run.json"
        run_on_volume(tmp_path / "ct.nrrd", tmp_path / "new" / "femur.nii.gz", Settings(sides=True))
        assert started == ["femur.nii.gz"] * 2
        assert recorded_warnings(record) == ("doubtful",)
        run_on_volume(tmp_path / "ct.nrrd", tmp_path / "new" / "femur.nii.gz", Settings(sides=True, any_values=True))
        assert started == ["femur.nii.gz"] * 3
        assert json.loads(record.read_text())["settings"]["any_values"] is True


class TestBadInput:
    @pytest.fixture(autouse=True)
    def _weights(self, dummy_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(dummy_weights))

    def test_missing_ct(self, tmp_path: Path) -> None:
        with refused("not-found", tmp_path / "ct.nrrd"):
            run_on_volume(tmp_path / "ct.nrrd", tmp_path / "o.nrrd", Settings())

    def test_unknown_ending(self, tmp_path: Path) -> None:
        (tmp_path / "ct.nrrd").touch()
        with refused("invalid-name", tmp_path / "o.png"):
            run_on_volume(tmp_path / "ct.nrrd", tmp_path / "o.png", Settings())

    def test_mask_in_place_of_the_ct(self, tmp_path: Path) -> None:
        (tmp_path / "ct.nrrd").touch()
        with refused("exists", tmp_path / "ct.nrrd"):
            run_on_volume(tmp_path / "ct.nrrd", tmp_path / "ct.nrrd", Settings())

    def test_no_weights(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "none"))
        (tmp_path / "ct.nrrd").touch()
        with refused("no-weights"):
            run_on_volume(tmp_path / "ct.nrrd", tmp_path / "o.nrrd", Settings())

    def test_weights_that_would_run_something(
        self, dummy_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import torch

        class Malicious:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "made"),)

        shutil.copytree(dummy_weights, tmp_path / "weights")
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "weights"))
        checkpoint = tmp_path / "weights" / femur_entry().folder / "fold_0" / "checkpoint_final.pth"
        torch.save({"network_weights": {}, "extra": Malicious()}, checkpoint)
        (tmp_path / "ct.nrrd").touch()
        with refused("unsafe-checkpoint"):
            run_on_volume(tmp_path / "ct.nrrd", tmp_path / "o.nrrd", Settings())
        assert not (tmp_path / "made").exists()

    def test_sides_of_a_dataset(self) -> None:
        with refused("invalid-option", "--sides"):
            run_on_dataset(1, Settings(sides=True))


@pytest.mark.integration
def test_a_real_ct_and_its_turned_copy_have_the_same_mask(cell, shared: Path) -> None:
    ct = sitk.ReadImage(str(shared / "ct" / "hips_ct.nrrd"))
    base = cell.folder / "turned"
    raw = base / "nnUNet_raw" / "Dataset008_Hips"
    (raw / "imagesTs").mkdir(parents=True)
    (raw / "dataset.json").write_text(json.dumps({"file_ending": ".nrrd"}))
    for case, order in (("stored", None), ("turned", "PIR")):
        image = ct if order is None else sitk.DICOMOrient(ct, order)
        sitk.WriteImage(image, str(raw / "imagesTs" / f"{case}_0000.nrrd"))
    variables = {name: str(base / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    ended = cell.run("baseline", "-d", "8", "--fast", "--device", "cpu", **variables)
    assert ended.returncode == 0, ended.stderr
    folder = base / "nnUNet_results" / "Dataset008_Hips" / "TotalSegmentator__total__3mm" / "test"
    stored, turned = (sitk.ReadImage(str(folder / f"{case}.nrrd")) for case in ("stored", "turned"))
    assert Geometry.of(stored) == Geometry.of(ct)
    assert Geometry.of(turned) == Geometry.of(sitk.DICOMOrient(ct, "PIR"))
    back = sitk.DICOMOrient(turned, sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(ct.GetDirection()))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(stored))
    assert sitk.GetArrayFromImage(stored).any()
