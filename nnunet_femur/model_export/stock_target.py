"""``--to nnunet``: a zip file that nnU-Net installs and predicts with, without this package."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import zipfile
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nnunet_femur.atomic_files import write_text
from nnunet_femur.dataset.nnunet_names import PLANS_NAME, model_folder
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.model_export import stock_prediction
from nnunet_femur.model_export.stock_model import is_stock, stock_plans, write_model
from nnunet_femur.model_export.targets import CARD, Target
from nnunet_femur.processes import running
from nnunet_femur.recipe.trainer_names import TRAINERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.model_export.trained_networks import TrainedNetworks

STOCK_TRAINER = "nnUNetTrainer"
"""The trainer of nnU-Net whose networks are those of the plans."""

_RESULTS = "results"
_DATASET = re.compile(r"Dataset\d{3}_[\w.-]+")


class StockTarget(Target):
    """A zip file for ``nnUNetv2_install_pretrained_model_from_zip`` and ``nnUNetv2_predict``."""

    name: ClassVar[str] = "nnunet"
    title: ClassVar[str] = "stock nnU-Net v2"

    def require_exportable(self, networks: TrainedNetworks) -> None:
        """Refuse networks that nnU-Net's own trainer does not build, and invalid names of datasets."""
        require_stock(networks)
        if not _DATASET.fullmatch(dataset_of(networks)):
            msg = (
                f"{networks.model.folder}: dataset_name in plans.json must have the form DatasetNNN_Name, got "
                f"{dataset_of(networks)!r}. Correct it."
            )
            raise InputError(msg, code="invalid-model")

    def write(self, networks: TrainedNetworks, folder: Path) -> None:
        """Write nnU-Net's folder of the model."""
        trainer, plans_name = _names(networks)
        write_model(
            networks,
            self._model(networks, folder),
            trainer=trainer,
            plans=stock_plans(networks, plans_name=plans_name),
            folds=networks.folds,
        )

    def masks(
        self, networks: TrainedNetworks, folder: Path, ct: Path, *, workspace: Path, device: str
    ) -> list[NDArray[np.bool_]]:
        """Predict with nnU-Net's own predictor."""
        return predict_with_nnunet(
            self._model(networks, folder), networks, ct, folds=networks.folds, workspace=workspace, device=device
        )

    def program(self) -> str:
        """Return nnU-Net's predictor and its version."""
        return nnunet_predictor()

    def usage(self, networks: TrainedNetworks) -> str:
        """Return nnU-Net's commands for this model."""
        trainer, plans_name = _names(networks)
        ending = networks.model.dataset.get("file_ending", "")
        classes = (
            ""
            if not networks.has_merged_heads
            else _MANY_CLASSES.format(n=networks.channels, values=" or ".join(map(str, networks.femur_channels)))
        )
        return _USAGE.format(
            zip=self._zip(networks),
            dataset=dataset_of(networks),
            trainer=trainer,
            plans=plans_name,
            configuration=networks.configuration_name,
            folds=" ".join(networks.folds),
            ending=ending,
            classes=classes,
        )

    def finish(self, networks: TrainedNetworks, folder: Path, card: str) -> None:
        """Put the folder and the model card into the zip file."""
        model = self._model(networks, folder)
        write_text(model / CARD, card, durable=False)
        results = folder / _RESULTS
        with zipfile.ZipFile(folder / self._zip(networks), "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(each for each in results.rglob("*") if each.is_file()):
                # The same time in each archive, so that equal files give equal archives.
                member = zipfile.ZipInfo(path.relative_to(results).as_posix())
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = 0o644 << 16
                with path.open("rb") as file, archive.open(member, "w", force_zip64=True) as target:
                    shutil.copyfileobj(file, target, 1 << 20)
        shutil.rmtree(results)

    def _model(self, networks: TrainedNetworks, folder: Path) -> Path:
        return folder / _RESULTS / dataset_of(networks) / _folder_name(networks)

    def _zip(self, networks: TrainedNetworks) -> str:
        return f"{dataset_of(networks)}__{_folder_name(networks)}.zip"


def require_stock(networks: TrainedNetworks) -> None:
    """Refuse networks that nnU-Net's own trainer does not build.

    Raises:
        InputError: The network is one of slices, or of another package's trainer (code "unsupported").
    """
    if is_stock(networks):
        return
    if networks.works_in_slices:
        problem = "networks of slices are not networks of nnU-Net, which could not run them without this package"
        fix = "Export it with --to onnx."
    else:
        problem = f"{networks.trainer} is a trainer neither of nnU-Net nor of this package"
        fix = "Share the model together with the code of its trainer."
    msg = f"{networks.model.name}: cannot be exported to this format: {problem}. {fix}"
    raise InputError(msg, code="unsupported")


def dataset_of(networks: TrainedNetworks) -> str:
    """Return the name of the model's dataset, ``DatasetNNN_Name``."""
    return str(networks.model.plans.get("dataset_name") or networks.model.folder.parent.name)


def nnunet_predictor() -> str:
    """Return the name and the version of nnU-Net's predictor."""
    return f"nnUNetPredictor of nnunetv2 {version('nnunetv2')}, torch {version('torch')}"


def predict_with_nnunet(
    model: Path,
    networks: TrainedNetworks,
    ct: Path,
    *,
    folds: Sequence[str],
    workspace: Path,
    device: str,
) -> list[NDArray[np.bool_]]:
    """Predict a CT with nnU-Net's own predictor, in a process in which it does not find this package's trainers.

    Args:
        model: The exported folder ``TRAINER__PLANS__CONFIGURATION``.
        networks: The model that was exported.
        ct: The CT.
        folds: Names of the folds in the exported folder.
        workspace: An empty folder for the masks.
        device: "cpu", "cuda" or "mps".

    Returns:
        The femur's mask of each fold, on the grid of the CT, axes z, y, x.

    Raises:
        SetupError: The prediction failed (code "program-failed").
    """
    import SimpleITK as sitk

    request = {
        "model": str(model),
        "ct": str(ct),
        "device": device,
        "outputs": {fold: str(workspace / f"fold_{fold}") for fold in folds},
    }
    status, output = _run(request)
    ending = json.loads((model / "dataset.json").read_text(encoding="utf-8"))["file_ending"]
    written = [workspace / f"fold_{fold}{ending}" for fold in folds]
    if status != 0 or not all(path.is_file() for path in written):
        last = output.strip().rpartition("\n")[2]
        msg = (
            f"{networks.model.name}: nnU-Net's predictor failed with the exported model ({last}). Nothing was written. "
            "Install the version of nnunetv2 that nnunet_femur requires."
        )
        raise SetupError(msg, code="program-failed")
    values = list(networks.femur_channels)
    return [np.isin(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), values) for path in written]


def _run(request: dict[str, Any]) -> tuple[int, str]:
    """Run :mod:`~nnunet_femur.model_export.stock_prediction`; return its exit status and its output."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().startswith("nnunet")}
    # With -P, the program does not find modules of its own folder.
    command = [sys.executable, "-P", stock_prediction.__file__, json.dumps(request)]
    with running(command, environment) as process:
        output = process.stdout.read() if process.stdout else ""
    return process.returncode, output


def _names(networks: TrainedNetworks) -> tuple[str, str]:
    """Return the names of trainer and plans of the exported model.

    A model of this package's trainers gets plans of its own name: nnU-Net installs without asking over a model of the
    same names, and the receiver may have a model of nnUNetTrainer for the same dataset.
    """
    plans_name = str(networks.model.plans.get("plans_name", PLANS_NAME))
    if networks.trainer not in TRAINERS:
        return networks.trainer, plans_name
    return STOCK_TRAINER, f"{networks.trainer.removesuffix('Trainer')}_{plans_name}"


def _folder_name(networks: TrainedNetworks) -> str:
    trainer, plans_name = _names(networks)
    return model_folder(trainer, plans_name=plans_name, configuration=networks.configuration_name)


_USAGE = """\
The model runs with nnU-Net v2 alone (`pip install nnunetv2`), without nnunet_femur:

```bash
export nnUNet_results=/path/to/results
nnUNetv2_install_pretrained_model_from_zip {zip}
nnUNetv2_predict -i CTS -o MASKS -d {dataset} -tr {trainer} -p {plans} -c {configuration} -f {folds}
```

The folder `CTS` must contain files `CASE_0000{ending}`. {classes}`nnfemur predict -m {zip}` runs it, too, and so
can programs that take a model folder of nnU-Net, which is what the zip file contains.
"""

_MANY_CLASSES = """\
The network keeps the {n} output channels of TotalSegmentator's model, and so do the
masks: the femur is where the value is {values}. The other classes are not the purpose of this model: fine-tuning has
changed them. """
