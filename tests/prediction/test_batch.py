"""`nnfemur predict` as a user runs it: many CTs, bad ones among them, stopped and run again."""

from __future__ import annotations

import csv
import json
import os
import shutil
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.prediction import Options, Segmenter, batch, predict
from nnunet_femur.prediction.preprocessing import bone_box
from nnunet_femur.progress import Silent
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from nnunet_femur.prediction.results import CaseResult

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("nowhere")]


@pytest.fixture(scope="module")
def model(make_model: Callable[..., Path]) -> Path:
    """On the grid of the phantoms, and without mirrored passes: fast."""
    return make_model()


def _predict(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["predict", *map(str, arguments), "--device", "cpu", "--no-mirror"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def _voxels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_one_bad_file_does_not_stop_the_others(model: Path, ct: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    image = sitk.ReadImage(str(ct))
    turned = sitk.DICOMOrient(image, "PIL")
    turned.SetDirection(
        (
            np.array(sitk.Euler3DTransform((0, 0, 0), 0.1, 0.1, 0).GetMatrix()).reshape(3, 3)
            @ np.reshape(turned.GetDirection(), (3, 3))
        ).ravel()
    )
    sitk.WriteImage(turned, str(source / "b.nii.gz"))
    sitk.WriteImage(image, str(source / "c.nrrd"))
    (source / "a.nrrd").write_bytes(ct.read_bytes()[:2000])
    out = tmp_path / "out"
    options = ["--format", "nrrd", "--format", "seg.nrrd", "--stl", "--fill-holes", "--largest-component"]
    status, text = _predict(
        "-i", source / "c.nrrd", source / "b.nii.gz", source / "a.nrrd", "-m", model, "-o", out, *options
    )
    assert status == 1, "not all was done"
    assert "failed" in text
    assert not [path.name for path in out.iterdir() if path.name.startswith((".", "a"))]
    for name, ct_image in (("b", turned), ("c", image)):
        mask = sitk.ReadImage(str(out / f"{name}.nrrd"))
        assert Geometry.of(mask).differences(Geometry.of(ct_image), tolerance_voxels=1e-4) == []
        assert (out / f"{name}.stl").stat().st_size > 84
        assert np.array_equal(_voxels(out / f"{name}.seg.nrrd"), sitk.GetArrayFromImage(mask))
    back = sitk.DICOMOrient(sitk.ReadImage(str(out / "b.nrrd")), "RAS")
    expected = sitk.DICOMOrient(sitk.ReadImage(str(out / "c.nrrd")), "RAS")
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(expected))
    rows = {row["case"]: row for row in csv.DictReader((out / "predictions.csv").open(encoding="utf-8"))}
    assert set(rows) == {"a", "b", "c"}
    assert "a.nrrd" in rows["a"]["error"]
    assert rows["a"]["review_score"] == "1.000"
    # The masks of random weights are no femurs: the HU under them show it too.
    assert {"surface-off-bone", "pieces"} & set(rows["c"]["findings"].split())
    assert 0 < float(rows["c"]["review_score"]) <= 1
    counted = np.count_nonzero(_voxels(out / "c.nrrd")) * 0.36
    assert float(rows["c"]["volume_ml"]) == pytest.approx(counted, abs=0.01)
    record = json.loads((out / "predictions.json").read_text())
    assert record["model"]["folds"] == ["0"]
    assert record["options"]["fill_holes"] is True


class TestResume:
    def test_does_nothing_twice(self, model: Path, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        arguments = ("-i", ct, "-m", model, "-o", tmp_path / "out")
        assert _predict(*arguments)[0] == 0
        (written,) = (tmp_path / "out").glob("*.nrrd")
        before = written.stat().st_mtime_ns
        with monkeypatch.context() as patch:
            patch.setattr(batch, "Segmenter", lambda *_, **__: pytest.fail("the network was loaded"))
            status, text = _predict(*arguments)
            assert (status, written.stat().st_mtime_ns) == (0, before)
            assert "done before" in text
        # What is missing, cut short, or asked for in another way is made anew.
        expected = written.read_bytes()
        written.write_bytes(expected[:-1])
        assert _predict(*arguments)[0] == 0
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(written))), _voxels(written))
        assert written.stat().st_size == len(expected)
        status, text = _predict(*arguments, "--largest-component")
        assert status == 0
        assert "done before" not in text

    def test_a_killed_run_goes_on(self, model: Path, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Killed in the second of two cases: the first is not done again, and nothing half is left."""
        inputs = []
        for name in ("one", "two"):
            inputs.append(tmp_path / f"{name}.nrrd")
            shutil.copyfile(ct, inputs[-1])
        asked = []
        find = Segmenter.find

        def dies(self, seen, **options):
            asked.append(seen.case)
            if len(asked) == 2:
                raise KeyboardInterrupt
            return find(self, seen, **options)

        options = Options(mirror=False)
        monkeypatch.setattr(Segmenter, "find", dies)
        with pytest.raises(KeyboardInterrupt):
            predict(inputs, model, tmp_path / "out", options=options, device="cpu")
        outcome = predict(inputs, model, tmp_path / "out", options=options, device="cpu")
        assert outcome.complete
        assert outcome.skipped == ("one",)
        assert asked == ["one", "two", "two"]
        assert np.array_equal(*(_voxels(tmp_path / "out" / f"{name}.nrrd") for name in ("one", "two")))

    def test_overwriting_one_case_keeps_the_records_of_the_others(self, model: Path, ct: Path, tmp_path: Path) -> None:
        first, second = (tmp_path / f"{name}.nrrd" for name in ("first", "second"))
        for path in (first, second):
            shutil.copyfile(ct, path)
        arguments = ("-m", model, "-o", tmp_path / "out")
        assert _predict("-i", first, second, *arguments)[0] == 0
        status, text = _predict("-i", first, *arguments, "--overwrite")
        assert (status, "done before" in text) == (0, False)
        record = json.loads((tmp_path / "out" / "predictions.json").read_text())
        assert [case["case"] for case in record["cases"]] == ["first", "second"]

    def test_a_mask_that_was_corrected_is_not_replaced(self, model: Path, ct: Path, tmp_path: Path) -> None:
        options = {"options": Options(mirror=False), "device": "cpu"}
        assert predict([ct], model, tmp_path, **options).complete
        (mask,) = tmp_path.glob("*.nrrd")
        mask.write_bytes(b"corrected")
        marks = {"cases": [{"case": mask.stem, "mark": "correct"}]}
        (tmp_path / "review.json").write_text(json.dumps(marks))
        with refused("edited-by-hand", mask.stem, tmp_path):
            predict([ct], model, tmp_path, **options)
        assert mask.read_bytes() == b"corrected"
        assert predict([ct], model, tmp_path, overwrite=True, **options).complete
        assert mask.read_bytes() != b"corrected"

    def test_a_failure_is_tried_again(
        self, model: Path, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Segmenter, "find", lambda *_, **__: (_ for _ in ()).throw(MemoryError))
            failed = predict([ct], model, tmp_path, options=Options(mirror=False), device="cpu")
            assert not failed.complete
            assert failed.results[0].code == "too-large"
        assert predict([ct], model, tmp_path, options=Options(mirror=False), device="cpu").complete


def test_an_exported_zip_is_the_same_model(model: Path, ct: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in model.rglob("*.*"):
            archive.write(file, file.relative_to(model.parents[1]))
    outcomes = [
        predict([ct], given, tmp_path / name, options=Options(mirror=False), device="cpu")
        for name, given in (("zip", tmp_path / "model.zip"), ("folder", model))
    ]
    first, second = (_voxels(outcome.folder / f"{outcome.results[0].case}.nrrd") for outcome in outcomes)
    assert np.array_equal(first, second)
    assert outcomes[0].results[0].settings == outcomes[1].results[0].settings


def test_a_dicom_series_is_segmented(model: Path, tmp_path: Path, write_slices: Callable) -> None:
    array = np.random.default_rng(0).integers(-1000, 1500, (9, 24, 20)).astype(np.int16)
    series = write_slices(tmp_path / "series", array)
    outcome = predict([series], model, tmp_path / "out", options=Options(mirror=False), device="cpu")
    assert outcome.complete, outcome.results
    image = sitk.ReadImage(str(tmp_path / "out" / "series.nrrd"))
    assert image.GetSize() == (20, 24, 9)
    assert "Rossi" not in (tmp_path / "out" / "predictions.json").read_text()
    assert not [key for key in image.GetMetaDataKeys() if "|" in key]


def test_cropping_to_bone_is_cutting_the_ct_oneself(model: Path, ct: Path, tmp_path: Path) -> None:
    wide = sitk.ConstantPad(sitk.ReadImage(str(ct)), (9, 4, 0), (2, 30, 3), -1000)
    canonical = sitk.DICOMOrient(wide, "RAS")
    z, y, x = box = bone_box(sitk.GetArrayFromImage(canonical), canonical.GetSpacing()[::-1])
    sitk.WriteImage(sitk.DICOMOrient(wide, "LPI"), str(tmp_path / "wide.nrrd"))
    sitk.WriteImage(canonical[x, y, z], str(tmp_path / "cut.nrrd"))
    for name, crop in (("wide", True), ("cut", False)):
        options = Options(mirror=False, crop_to_bone=crop)
        predict([tmp_path / f"{name}.nrrd"], model, tmp_path / "out", options=options, device="cpu")
    expected = np.zeros(canonical.GetSize()[::-1], np.uint8)
    expected[box] = _voxels(tmp_path / "out" / "cut.nrrd")
    mask = sitk.ReadImage(str(tmp_path / "out" / "wide.nrrd"))
    assert Geometry.of(mask).differences(Geometry.of(sitk.DICOMOrient(wide, "LPI"))) == []
    assert expected.any()
    assert np.array_equal(sitk.GetArrayFromImage(sitk.DICOMOrient(mask, "RAS")), expected)


def test_windows_are_counted_to_the_last(model: Path, ct: Path, tmp_path: Path) -> None:
    seen = []

    class Counter(Silent):
        def advance(self, task: str, done: float, *, total: float | None = None, note: str = "") -> None:
            if task != "Predict":
                seen.append((done, total))

    predict([ct], model, tmp_path, options=Options(step_size=0.4), device="cpu", progress=Counter())
    # Two passes for each window, of which one is mirrored. The total is known when the femur is found.
    assert [done for done, _ in seen] == list(range(2, seen[-1][0] + 1, 2))
    assert seen[-1][0] == seen[-1][1] <= seen[0][1]


class TestProblems:
    def test_a_checkpoint_that_would_run_code_is_refused(self, model: Path, ct: Path, tmp_path: Path) -> None:
        class Harm:
            def __reduce__(self) -> tuple:
                return os.mkdir, (str(tmp_path / "harm"),)

        copy = tmp_path / "model"
        shutil.copytree(model, copy)
        path = copy / "fold_0" / "checkpoint_final.pth"
        torch.save({**torch.load(path, weights_only=False), "harm": Harm()}, path)
        with refused("unsafe-checkpoint", path):
            predict([ct], copy, tmp_path / "out", device="cpu")
        assert not (tmp_path / "harm").exists()

    def test_a_damaged_checkpoint_is_refused(self, model: Path, ct: Path, tmp_path: Path) -> None:
        copy = tmp_path / "model"
        shutil.copytree(model, copy)
        path = copy / "fold_0" / "checkpoint_final.pth"
        path.write_bytes(path.read_bytes()[:1000])
        with refused("invalid-model", path):
            predict([ct], copy, tmp_path / "out", device="cpu")

    def test_a_trainer_that_is_not_installed_is_named(self, model: Path, ct: Path, tmp_path: Path) -> None:
        copy = tmp_path / "model"
        shutil.copytree(model, copy)
        path = copy / "fold_0" / "checkpoint_final.pth"
        torch.save({**torch.load(path, weights_only=False), "trainer_name": "SomebodysTrainer"}, path)
        with refused("not-installed", "SomebodysTrainer"):
            predict([ct], copy, tmp_path / "out", device="cpu")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
    def test_a_device_that_is_not_there(self, model: Path, ct: Path, tmp_path: Path) -> None:
        with refused("no-device", "cuda"):
            predict([ct], model, tmp_path, device="cuda")
        with refused("invalid-option", "gpu"):
            predict([ct], model, tmp_path, device="gpu")

    @pytest.mark.parametrize("options", [("--format", "jpg"), ("--step-size", "0"), ("--label", "tibia")])
    def test_a_choice_that_there_is_not(self, options: tuple[str, str], model: Path, ct: Path, tmp_path: Path) -> None:
        result = CliRunner().invoke(app, ["predict", "-i", str(ct), "-m", str(model), "-o", str(tmp_path), *options])
        assert isinstance(result.exception, InputError)
        assert result.exception.code == "invalid-option"

    def test_a_volume_that_is_not_in_hu_is_refused(self, model: Path, ct: Path, tmp_path: Path) -> None:
        image = sitk.RescaleIntensity(sitk.Cast(sitk.ReadImage(str(ct)), sitk.sitkFloat32), 0, 1)
        sitk.WriteImage(image, str(tmp_path / "mr.nrrd"))
        outcome = predict([tmp_path / "mr.nrrd"], model, tmp_path / "out", options=Options(mirror=False), device="cpu")
        assert outcome.results[0].code == "image-normalised"
        options = Options(mirror=False, any_values=True)
        outcome = predict([tmp_path / "mr.nrrd"], model, tmp_path / "out", options=options, device="cpu")
        assert outcome.complete
        assert outcome.results[0].warnings


def test_parts_of_a_batch(model: Path, ct: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for case in ("L1", "L2", "R3"):
        shutil.copy(ct, source / f"{case}.nrrd")
    out = tmp_path / "out"
    for part in ("1/2", "2/2"):
        assert _predict("-i", source, "-m", model, "-o", out, "--shard", part)[0] == 0
    assert not (out / "predictions.json").exists()
    cases = [{case["case"] for case in json.loads(path.read_text())["cases"]} for path in (out / "shards").iterdir()]
    assert sorted(case for part in cases for case in part) == ["L1", "L2", "R3"]
    result = predict(source, model, out, mirror=False, device="cpu")
    assert result.skipped == ("L1", "L2", "R3"), "nothing is predicted twice"
    assert [case["case"] for case in json.loads((out / "predictions.json").read_text())["cases"]] == ["L1", "L2", "R3"]
    assert (out / "predictions.csv").is_file()


def test_records_of_many_cases_are_written_less_often(
    model: Path, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for case in ("L1", "L2", "R3"):
        shutil.copy(ct, tmp_path / f"{case}.nrrd")
    written = []

    def write(_: Path, results: Iterable[CaseResult], *__: object, **___: object) -> None:
        written.append(len([*results]))

    monkeypatch.setattr(batch, "write_results", write)
    monkeypatch.setattr(batch, "_QUICK_S", -1.0)
    monkeypatch.setattr(batch, "_WAIT", 1e9)
    predict(tmp_path, model, tmp_path / "out", mirror=False, device="cpu")
    assert written == [1, 3], "the first case, and all at the end"
