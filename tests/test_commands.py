"""nnU-Net's own commands, as a user types them, with this package's trainers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

DATASET = "Dataset001_Femur"
TRAINER = "FemurUnetResNet34Trainer"
MODEL = f"{TRAINER}__nnUNetPlans__3d_fullres"


def _command(name: str, *arguments: str) -> list[str]:
    found = shutil.which(name, path=sysconfig.get_path("scripts"))
    assert found is not None
    return [found, *arguments]


TRAIN = (DATASET, "3d_fullres", "0", "-tr", TRAINER, "-device", "cpu")


@pytest.fixture(scope="module")
def trained(planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder after an undisturbed training from an unrelated directory."""
    result = subprocess.run(
        _command("nnUNetv2_train", *TRAIN),
        env=_process_environment(planned),
        cwd=tmp_path_factory.mktemp("elsewhere"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return planned / "nnUNet_results" / DATASET / MODEL


def _process_environment(base: Path, **changes: str) -> dict[str, str]:
    import os

    from nnunet_femur.dataset.environment import variables

    single = {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **variables(base), **single, **changes}


class TestTrain:
    def test_validates_every_case_of_the_fold(self, trained: Path, planned: Path) -> None:
        folds = json.loads((planned / "nnUNet_preprocessed" / DATASET / "splits_final.json").read_text())
        written = {path.stem for path in (trained / "fold_0" / "validation").glob("*.nrrd")}
        assert written == set(folds[0]["val"])

    def test_predictions_have_the_grid_of_the_reference(self, trained: Path, planned: Path) -> None:
        for path in (trained / "fold_0" / "validation").glob("*.nrrd"):
            predicted = sitk.ReadImage(str(path))
            reference = sitk.ReadImage(str(planned / "nnUNet_raw" / DATASET / "labelsTr" / path.name))
            assert predicted.GetSize() == reference.GetSize()
            assert predicted.GetDirection() == reference.GetDirection()
            assert np.allclose(predicted.GetOrigin(), reference.GetOrigin())

    def test_the_record_has_command_recipe_and_device(self, trained: Path) -> None:
        record = json.loads((trained / "fold_0" / "run.json").read_text())
        assert record["command"] == ["nnUNetv2_train", *TRAIN]
        assert record["recipe"]["epochs"] == record["epochs_done"] == 3
        assert record["seconds"] > 0
        assert record["device"] == "cpu"
        assert round(record["parameters"] / 1e6, 1) == 24.4


def test_our_message_is_the_last_line_of_nnunets_commands(planned: Path) -> None:
    arguments = (DATASET, "3d_fullres", "6", "-tr", TRAINER, "-device", "cpu")
    ended = subprocess.run(
        _command("nnUNetv2_train", *arguments),
        env=_process_environment(planned),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("error: ")
    assert "6" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stdout + ended.stderr


def test_axial_slices_on_the_fixed_split(planned: Path) -> None:
    """Configuration 2d, fold 5, and the dataset by its number."""
    arguments = ("1", "2d", "5", "-tr", TRAINER, "-device", "cpu")
    result = subprocess.run(
        _command("nnUNetv2_train", *arguments),
        env=_process_environment(planned),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    fold = planned / "nnUNet_results" / DATASET / f"{TRAINER}__nnUNetPlans__2d" / "fold_5"
    table = (planned / "nnUNet_raw" / DATASET / "cases.csv").read_text(encoding="utf-8").splitlines()
    columns = table[0].split(",")
    cases = [dict(zip(columns, line.split(","), strict=False)) for line in table[1:]]
    validated = {path.stem for path in (fold / "validation").glob("*.nrrd")}
    assert validated == {case["case"] for case in cases if case["set"] == "validation"}
    record = json.loads((fold / "run.json").read_text())
    assert (record["configuration"], record["works_in_slices"]) == ("2d", True)


@pytest.fixture(scope="module")
def predicted(trained: Path, planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with predictions and probabilities of a validation case, in its own and another orientation."""
    folder = tmp_path_factory.mktemp("predicted")
    validated = sorted((trained / "fold_0" / "validation").glob("*.nrrd"))[0]
    image = sitk.ReadImage(str(planned / "nnUNet_raw" / DATASET / "imagesTr" / f"{validated.stem}_0000.nrrd"))
    (folder / "in").mkdir()
    sitk.WriteImage(image, str(folder / "in" / "same_0000.nrrd"))
    sitk.WriteImage(sitk.DICOMOrient(image, "LPI"), str(folder / "in" / "turned_0000.nrrd"))
    arguments = ("-i", str(folder / "in"), "-o", str(folder / "out"), "-d", DATASET, "-c", "3d_fullres", "-tr", TRAINER)
    options = ("-f", "0", "-device", "cpu", "-npp", "1", "-nps", "1", "--save_probabilities")
    _run("nnUNetv2_predict", *arguments, *options, environment=_process_environment(planned))
    return folder / "out"


def _run(name: str, *arguments: str, environment: dict[str, str]) -> None:
    result = subprocess.run(_command(name, *arguments), env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


class TestPredict:
    def test_equals_the_validation_of_the_same_case(self, trained: Path, predicted: Path) -> None:
        """The orientation in which the CT is stored makes no difference."""
        validated = sorted((trained / "fold_0" / "validation").glob("*.nrrd"))[0]
        expected = sitk.GetArrayFromImage(sitk.ReadImage(str(validated)))
        turned = sitk.ReadImage(str(predicted / "turned.nrrd"))
        assert sitk.DICOMOrientImageFilter().GetOrientationFromDirectionCosines(turned.GetDirection()) == "LPI"
        for found in (sitk.ReadImage(str(predicted / "same.nrrd")), sitk.DICOMOrient(turned, "RAS")):
            # Validation reads the preprocessed case from disk, prediction makes it anew: equal but for rounding.
            assert np.mean(sitk.GetArrayFromImage(found) != expected) < 1e-4

    def test_probabilities_and_ensembles(self, predicted: Path, planned: Path, tmp_path: Path) -> None:
        """An ensemble of a prediction with itself is that prediction."""
        probabilities = np.load(predicted / "same.npz")["probabilities"]
        assert np.allclose(probabilities.sum(0), 1, atol=1e-3)
        arguments = ("-i", str(predicted), str(predicted), "-o", str(tmp_path), "-np", "1")
        _run("nnUNetv2_ensemble", *arguments, environment=_process_environment(planned))
        for name in ("same.nrrd", "turned.nrrd"):
            ensemble, single = (sitk.ReadImage(str(folder / name)) for folder in (tmp_path, predicted))
            assert np.array_equal(sitk.GetArrayFromImage(ensemble), sitk.GetArrayFromImage(single))
            assert ensemble.GetSize() == single.GetSize()
