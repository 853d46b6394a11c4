"""``--to totalsegmentator``: a weights folder with which TotalSegmentator itself runs the fine-tuned network."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, ClassVar

from nnunet_femur.atomic_files import write_text
from nnunet_femur.dataset.nnunet_names import PLANS_NAME
from nnunet_femur.errors import InputError
from nnunet_femur.model_export.stock_model import stock_plans, write_model
from nnunet_femur.model_export.stock_target import nnunet_predictor, predict_with_nnunet, require_stock
from nnunet_femur.model_export.targets import CARD, Target
from nnunet_femur.weights.install import is_installed
from nnunet_femur.weights.models import DUMMY_NOTE, FEMURS, crop_entry, femur_entry, other_parts, weights_folder

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.model_export.trained_networks import TrainedNetworks
    from nnunet_femur.weights.models import ModelEntry

FINETUNED_NOTE = "FINE-TUNED.txt"
"""File in the dataset's folder that marks the weights as fine-tuned, so not TotalSegmentator's."""

_READER = "NibabelIO"
"""nnU-Net's reader in TotalSegmentator's plans: TotalSegmentator turns CTs to RAS itself."""

_ENDING = ".nii.gz"


class TotalSegmentatorTarget(Target):
    """A weights folder whose femur model is the fine-tuned network, beside TotalSegmentator's own weights folder."""

    name: ClassVar[str] = "totalsegmentator"
    title: ClassVar[str] = "weights folder of TotalSegmentator"
    # As TotalSegmentator gives CTs to nnU-Net.
    check_orientation: ClassVar[str] = "RAS"

    def require_place(self, folder: Path) -> None:
        """Refuse TotalSegmentator's own weights folder, and every folder in it or around it."""
        own, place = weights_folder().resolve(), folder.resolve()
        if own == place or own in place.parents or place in own.parents:
            msg = (
                f"{folder}: TotalSegmentator keeps its own weights in {own}, which must stay as they are. Choose "
                "another folder."
            )
            raise InputError(msg, code="exists")

    def require_exportable(self, networks: TrainedNetworks) -> None:
        """Refuse networks without TotalSegmentator's output channels, and several folds."""
        require_stock(networks)
        entry = _entry(networks)
        channels = tuple(entry.classes[name] for name in FEMURS)
        if networks.channels != entry.channels or networks.femur_channels != channels:
            msg = (
                f"{networks.model.name}: TotalSegmentator needs a network with its own {entry.channels} output "
                f"channels, got {networks.channels}. Export a model of FemurFinetuneTrainer that was fine-tuned from "
                "TotalSegmentator's weights, or use --to nnunet."
            )
            raise InputError(msg, code="unsupported")
        if len(networks.folds) != 1:
            msg = (
                f"{networks.model.name}: TotalSegmentator runs one network, but this model has "
                f"{len(networks.folds)} folds. Choose one with --fold."
            )
            raise InputError(msg, code="invalid-option")

    def write(self, networks: TrainedNetworks, folder: Path) -> None:
        """Write the weights folder: the fine-tuned model, the model for the crop, and what must exist beside them."""
        entry = _entry(networks)
        write_model(
            networks,
            folder / entry.folder,
            trainer=entry.trainer,
            plans=stock_plans(networks, plans_name=PLANS_NAME, dataset_name=entry.dataset, image_reader_writer=_READER),
            folds=("0",),
            file_ending=_ENDING,
            overwrite_image_reader_writer=_READER,
        )
        write_text(folder / entry.dataset / FINETUNED_NOTE, _NOTE, durable=False)
        for dataset in other_parts():
            place = folder / dataset
            if not place.exists():
                # TotalSegmentator downloads a model whose folder does not exist.
                place.mkdir()
                write_text(place / "NOT-INCLUDED.txt", _NOT_INCLUDED, durable=False)
        _copy_crop_model(folder)

    def masks(
        self, networks: TrainedNetworks, folder: Path, ct: Path, *, workspace: Path, device: str
    ) -> list[NDArray[np.bool_]]:
        """Predict with nnU-Net's own predictor, which TotalSegmentator calls."""
        model = folder / _entry(networks).folder
        return predict_with_nnunet(model, networks, ct, folds=("0",), workspace=workspace, device=device)

    def check_ending(self, networks: TrainedNetworks) -> str:  # noqa: ARG002
        """Return the ending of NIfTI files, which TotalSegmentator reads."""
        return _ENDING

    def program(self) -> str:
        """Return nnU-Net's predictor and its version."""
        return nnunet_predictor()

    def usage(self, networks: TrainedNetworks) -> str:
        """Return TotalSegmentator's command with this weights folder."""
        entry, crop = _entry(networks), crop_entry()
        included = "is included" if is_installed(crop) else "is **not included**: TotalSegmentator downloads it here"
        return _USAGE.format(
            fast=" --fast" if _is_fast(networks) else "",
            femurs=" ".join(FEMURS),
            dataset=entry.dataset,
            crop=crop.dataset,
            included=included,
        )

    def limits(self, networks: TrainedNetworks) -> list[str]:
        """Return what TotalSegmentator does differently from this package."""
        return [
            f"Only {' and '.join(FEMURS)} are valid. The other {networks.channels - 3} classes of this model are no "
            "longer TotalSegmentator's: fine-tuning has changed them.",
            f"TotalSegmentator crops to the femurs found at {crop_entry().spacing_mm:g} mm, resamples to "
            f"{_entry(networks).spacing_mm:g} mm in its own way, and moves its window by 0.8 of its size. Its masks "
            "therefore differ at the edges from those of `nnfemur predict`. The parity check compares the network "
            "without these steps.",
        ]

    def finish(self, networks: TrainedNetworks, folder: Path, card: str) -> None:
        """Put the model card beside the fine-tuned model, too."""
        write_text(folder / _entry(networks).folder / CARD, card, durable=False)


def _is_fast(networks: TrainedNetworks) -> bool:
    return bool((networks.source or {}).get("fast"))


def _entry(networks: TrainedNetworks) -> ModelEntry:
    """Return the model of TotalSegmentator in whose place the network is exported."""
    return femur_entry(fast=_is_fast(networks))


def _copy_crop_model(folder: Path) -> None:
    """Copy the model that finds the femur from the installed weights, if it is installed."""
    crop = crop_entry()
    if not is_installed(crop):
        return
    installed = weights_folder()
    shutil.copytree(installed / crop.folder, folder / crop.folder)
    note = installed / crop.dataset / DUMMY_NOTE
    if note.is_file():
        shutil.copy(note, folder / crop.dataset / DUMMY_NOTE)


_NOTE = """\
This model was fine-tuned to the femur by nnunet_femur. It is not TotalSegmentator's model of this name. Only its
classes femur_left and femur_right are valid. See MODEL_CARD.md.
"""

_NOT_INCLUDED = """\
This model of TotalSegmentator is not included. The folder exists because TotalSegmentator would download the model,
which is not needed for the classes femur_left and femur_right.
"""

_USAGE = """\
This folder is a weights folder of TotalSegmentator. TotalSegmentator's own weights stay as they are; the environment
variable selects this folder for one command:

```bash
TOTALSEG_WEIGHTS_PATH=/path/to/this/folder \\
    TotalSegmentator -i ct.nii.gz -o segmentations --roi_subset {femurs}{fast}
```

`{dataset}` contains the fine-tuned network. The model that finds the femurs, `{crop}`, {included}. Use this
folder with `--roi_subset {femurs}` only: the models of other classes are missing, and
`nnfemur plan --from totalsegmentator` would fine-tune this network again.
"""
