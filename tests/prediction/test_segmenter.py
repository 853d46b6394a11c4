"""A model that is loaded once and segments several CTs."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.sources import Source
from nnunet_femur.prediction import Femur, Options, Segmenter, predict
from nnunet_femur.progress import Silent
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("nowhere")]


@pytest.fixture(scope="module")
def ensemble_on_grid(make_model: Callable[..., Path]) -> Path:
    """Three folds on the grid of the phantoms."""
    return make_model(folds=3)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that torch unpickles, in their order."""
    import torch

    found: list[str] = []
    load = torch.load

    def counted(file: Any, *arguments: Any, **options: Any) -> Any:
        assert options["weights_only"] is True, "no code of the file is run"
        found.append(Path(file).parent.name)
        return load(file, *arguments, **options)

    monkeypatch.setattr(torch, "load", counted)
    return found


def _array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


class TestLoadsOnce:
    def test_each_checkpoint_is_read_once_and_the_network_is_kept(
        self, ensemble_on_grid: Path, ct: Path, loads: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        segmenter = Segmenter(ensemble_on_grid, folds=(0, 2), device="cpu", mirror=False)
        assert loads == ["fold_0", "fold_2"]
        network = segmenter._require_open().network
        first, second = segmenter(ct), segmenter(str(ct))
        assert loads == ["fold_0", "fold_2"]
        assert segmenter._require_open().network is network
        assert np.array_equal(_array(first.mask), _array(second.mask))
        assert first.disagreement == second.disagreement > 0

    def test_what_only_the_network_needs_is_not_kept(self, ensemble_on_grid: Path, ct: Path) -> None:
        segmenter = Segmenter(ensemble_on_grid, folds=0, device="cpu", mirror=False)
        seen = segmenter.read(Source("case", ct))
        found = segmenter.find(seen)
        assert found.seen.preprocessed.data.numel() == 0 < seen.preprocessed.data.numel()
        assert np.array_equal(_array(segmenter.check(found).mask), _array(segmenter(ct).mask))

    def test_a_batch_reads_each_checkpoint_once(
        self, ensemble_on_grid: Path, ct: Path, tmp_path: Path, loads: list[str]
    ) -> None:
        inputs = [tmp_path / f"{name}.nrrd" for name in ("one", "two")]
        for path in inputs:
            shutil.copyfile(ct, path)
        options = Options(mirror=False)
        result = predict(inputs, ensemble_on_grid, tmp_path / "out", options=options, folds=[1], device="cpu")
        assert result.complete
        assert loads == ["fold_1"]


def test_an_unpacked_zip_is_removed_once_it_is_loaded(
    ensemble_on_grid: Path, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in ensemble_on_grid.rglob("*.*"):
            archive.write(file, file.relative_to(ensemble_on_grid.parents[1]))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    segmenter = Segmenter(tmp_path / "model.zip", folds=0, device="cpu", mirror=False)
    assert not list((tmp_path / "temporary").iterdir())
    assert segmenter(ct).mask.GetSize() == sitk.ReadImage(str(ct)).GetSize()


class TestCall:
    def test_file_dicom_folder_and_image_are_the_same_ct(
        self, ensemble_on_grid: Path, tmp_path: Path, write_slices: Callable[..., Path]
    ) -> None:
        array = np.random.default_rng(0).integers(-1000, 1500, (9, 24, 20)).astype(np.int16)
        folder = write_slices(tmp_path / "series", array)
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
        image = sitk.ReadImage(names)
        sitk.WriteImage(image, str(tmp_path / "ct_0000.nrrd"))
        segmenter = Segmenter(ensemble_on_grid, folds=["1"], device="cpu", mirror=False, uncertainty=True)
        found = {
            femur.case: femur for femur in (segmenter(folder), segmenter(tmp_path / "ct_0000.nrrd"), segmenter(image))
        }
        assert set(found) == {"series", "ct", "image"}
        for femur in found.values():
            assert femur.mask.GetPixelID() == sitk.sitkUInt8
            assert Geometry.of(femur.mask).differences(Geometry.of(image), tolerance_voxels=1e-4) == []
            assert np.array_equal(_array(femur.mask), _array(found["series"].mask))
            assert femur.volume_ml == pytest.approx(_array(femur.mask).sum() * Geometry.of(image).voxel_volume_ml)
            assert (femur.left, femur.right) == (None, None)
            assert (femur.disagreement, femur.uncertainty) == (None, None), "of one fold"

    def test_uncertainty_has_the_grid_of_the_ct(self, ensemble_on_grid: Path, ct: Path) -> None:
        femur = Segmenter(ensemble_on_grid, device="cpu", mirror=False, uncertainty=True)(ct)
        assert femur.uncertainty is not None
        assert Geometry.of(femur.uncertainty) == Geometry.of(femur.mask)
        assert 0 < _array(femur.uncertainty).max() <= 0.5

    def test_progress_counts_the_passes(self, ensemble_on_grid: Path, ct: Path) -> None:
        events: list[tuple[str, str]] = []

        class Watch(Silent):
            def begin(self, task: str, total: float | None = None) -> None:
                events.append(("begin", task.strip()))

            def end(self, task: str, message: str = "") -> None:
                events.append(("end", task.strip()))

        segmenter = Segmenter(ensemble_on_grid, folds=0, device="cpu", mirror=False)
        case = segmenter(ct, progress=Watch()).case
        assert events == [("begin", case), ("end", case)]
        with refused("unreadable", "nowhere.nrrd"):
            segmenter("nowhere.nrrd", progress=Watch())
        assert events[2:] == [("begin", "nowhere"), ("end", "nowhere")]

    def test_images_that_are_no_ct_are_refused(self, ensemble_on_grid: Path, ct: Path) -> None:
        segmenter = Segmenter(ensemble_on_grid, folds=0, device="cpu", mirror=False)
        image = sitk.ReadImage(str(ct))
        for code, other in (
            ("not-3d", image[:, :, 10]),
            ("colour", sitk.Compose(image, image)),
            ("too-thin", image[:, :, 10:11]),
            ("image-normalised", sitk.RescaleIntensity(sitk.Cast(image, sitk.sitkFloat32), 0, 1)),
        ):
            with refused(code, "SimpleITK.Image"):
                segmenter(other)


class TestLife:
    def test_closes(self, ensemble_on_grid: Path, ct: Path) -> None:
        with Segmenter(ensemble_on_grid, folds=0, device="cpu") as segmenter:
            assert "cpu, torch, float32" in repr(segmenter)
        assert "closed" in repr(segmenter)
        with refused("no-model", ensemble_on_grid.name):
            segmenter(ct)

    def test_changes_no_environment_variable(self, ensemble_on_grid: Path) -> None:
        before = dict(os.environ)
        Segmenter(ensemble_on_grid, folds=0, device="cpu")
        assert dict(os.environ) == before

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"folds": (7,)}, "no-model"),
            ({"device": "gpu"}, "invalid-option"),
            ({"step_size": 1.5}, "invalid-option"),
            ({"labels": ["tibia"]}, "invalid-option"),
            ({"checkpoint": "checkpoint_best.pth"}, "no-model"),
        ],
    )
    def test_invalid_options_are_refused(self, ensemble_on_grid: Path, options: dict[str, Any], code: str) -> None:
        with refused(code):
            Segmenter(ensemble_on_grid, **options)


class TestHuUnderTheMask:
    """The sample of the CT that a mask is compared with."""

    def _sample(self, monkeypatch: pytest.MonkeyPatch, model: Path, image: sitk.Image, **options: Any) -> Any:
        found = {}
        from_mask = Femur.from_mask

        def kept(*arguments: Any, **given: Any) -> Femur:
            found.update(given)
            return from_mask(*arguments, **given)

        monkeypatch.setattr(Femur, "from_mask", kept)
        Segmenter(model, device="cpu", mirror=False, **options)(image)
        return found["ct"]

    def test_is_on_the_cts_own_grid(
        self, make_model: Callable[..., Path], ct: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        turned = sitk.DICOMOrient(sitk.ReadImage(str(ct)), "PIL")
        sample = self._sample(monkeypatch, make_model(), turned)
        assert sample.steps_zyx == (1, 1, 1)
        assert np.array_equal(sample.hu_zyx, _array(turned))
        assert sample.spacing_mm_zyx == pytest.approx(turned.GetSpacing()[::-1])

    def test_is_none_for_other_values(
        self, make_model: Callable[..., Path], ct: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        raw = sitk.ReadImage(str(ct)) + 1024
        assert self._sample(monkeypatch, make_model(), raw, any_values=True) is None
