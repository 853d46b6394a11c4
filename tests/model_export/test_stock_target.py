"""An export to stock nnU-Net, installed and run by nnU-Net's commands where this package does not exist."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import venv
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from nnunet_femur import Segmenter
from nnunet_femur.model_export import export
from nnunet_femur.testing import make_phantom
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMANDS = """
import importlib.util, sys
assert importlib.util.find_spec("nnunet_femur") is None, "this environment must not contain the package"
from nnunetv2.inference.predict_from_raw_data import predict_entry_point
from nnunetv2.model_sharing.entry_points import install_from_zip_entry_point
archive, images, masks, *options = sys.argv[1:]
sys.argv = ["nnUNetv2_install_pretrained_model_from_zip", archive]
install_from_zip_entry_point()
sys.argv = ["nnUNetv2_predict", "-i", images, "-o", masks, "-device", "cpu", "-npp", "0", "-nps", "0", *options]
predict_entry_point()
"""


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment that holds nnU-Net and all other packages, but not this one.

    The path line does not process the ``.pth`` files of that folder, by which this package is installed.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder, with_pip=False, symlinks=True)
    site_packages = next(folder.glob("lib/python*/site-packages"))
    (site_packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


@pytest.mark.integration
class TestStockNnunet:
    @pytest.mark.usefixtures("in_this_process")
    def test_installs_and_predicts_without_this_package(
        self, make_trained: Callable[..., Path], elsewhere: Path, tmp_path: Path
    ) -> None:
        """Of a fine-tuned network with all its output channels, fold 1, on a CT that is stored as LPS."""
        model = make_trained(folds=2)
        phantom = make_phantom(5, size_zyx=(56, 36, 36), spacing_mm_zyx=(8.5, 6.0, 6.0))
        (tmp_path / "images").mkdir()
        ct = tmp_path / "images" / "leg_0000.nrrd"
        sitk.WriteImage(phantom.image, str(ct))
        exported = export(model, tmp_path / "shared", ct=ct, folds=1)
        (archive,) = exported.folder.glob("*.zip")
        dataset, trainer, plans, configuration = archive.stem.split("__")
        options = ["-d", dataset, "-tr", trainer, "-p", plans, "-c", configuration, "-f", "1"]
        subprocess.run(
            [elsewhere, "-c", COMMANDS, archive, tmp_path / "images", tmp_path / "masks", *options],
            env={"nnUNet_results": str(tmp_path / "results"), "PATH": "", "OMP_NUM_THREADS": "1"},
            check=True,
            cwd=tmp_path,
        )
        theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "masks" / "leg.nrrd")))
        ours = sitk.GetArrayFromImage(Segmenter(model, folds=1, device="cpu", exhaustive=True)(ct).mask) > 0
        found = np.isin(theirs, (7, 8))
        assert np.count_nonzero(ours) > 500
        assert np.count_nonzero(found != ours) <= 1e-4 * np.count_nonzero(ours)
        assert (trainer, plans) == ("nnUNetTrainer", "FemurFinetune_nnUNetPlans")
        # The card describes these commands.
        assert " ".join(["nnUNetv2_predict -i CTS -o MASKS", *options]) in exported.card.read_text()


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.integration
class TestArchive:
    @pytest.fixture
    def archive(self, make_trained: Callable[..., Path], tmp_path: Path) -> Path:
        model = make_trained("FemurScratchTrainer")
        dataset = json.loads((model / "dataset.json").read_text())
        dataset |= {"description": "phantoms", "dataset": {"Rossi_1": {"images": ["imagesTr/Rossi_1.nrrd"]}}}
        (model / "dataset.json").write_text(json.dumps(dataset))
        exported = export(model, tmp_path / "scratch")
        assert exported.parity.femur_voxels > 100
        assert exported.parity.differing_voxels == 0
        return next(exported.folder.glob("*.zip"))

    def test_contains_nothing_of_this_package(self, archive: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(archive) as files:
            folder = "Dataset001_Femur/nnUNetTrainer__FemurScratch_nnUNetPlans__3d_fullres"
            names = ("MODEL_CARD.md", "dataset.json", "fold_0/checkpoint_final.pth", "plans.json")
            assert files.namelist() == [f"{folder}/{name}" for name in names]
            files.extractall(tmp_path)
        plans = json.loads((tmp_path / folder / "plans.json").read_text())
        assert [key for key in plans["configurations"]["3d_fullres"] if key.startswith("femur")] == []
        described = (tmp_path / folder / "dataset.json").read_text()
        assert "phantoms" in described
        assert "Rossi" not in described, "names of cases"
        checkpoint = torch.load(tmp_path / folder / "fold_0" / "checkpoint_final.pth", weights_only=True)
        assert checkpoint["trainer_name"] == "nnUNetTrainer"
        assert checkpoint["inference_allowed_mirroring_axes"] == (2,)
        assert not [name for name in checkpoint["network_weights"] if "femur" in name]
        assert plans["plans_name"] == "FemurScratch_nnUNetPlans"

    def test_is_exported_again_as_it_is(self, archive: Path, tmp_path: Path) -> None:
        """A model of nnU-Net's own trainer keeps its names, and the same model gives the same archive."""
        again = export(archive, tmp_path / "again")
        assert (again.folder / archive.name).is_file()
        with zipfile.ZipFile(archive) as first, zipfile.ZipFile(again.folder / archive.name) as second:
            name = next(each for each in first.namelist() if each.endswith("plans.json"))
            assert first.read(name) == second.read(name)


@pytest.mark.integration
def test_networks_of_slices_are_refused(make_trained: Callable[..., Path], tmp_path: Path) -> None:
    with refused("unsupported", "FemurUnetMobileNetV3Trainer"):
        export(make_trained("FemurUnetMobileNetV3Trainer"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
