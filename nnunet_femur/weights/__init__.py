"""Weights that trainings start from: TotalSegmentator's models and pretrained encoders.

Modules in the order of the data's way:

- `models`: TotalSegmentator's models that segment the femur or crop to it, and the weights folder that contains them.
- `install`: brings them into that folder from TotalSegmentator's server, an archive or another folder.
- `verification`: checks them, and loads checkpoints without running code that they may contain.
- `encoders`: files of pretrained encoder weights, and ways to bring them to a machine without internet.
- `encoder_loading`: checks such a file and loads it into a network. Only this module imports PyTorch when it is loaded.
- `model_statements`: sentences of model cards about the weights that a training started from.
"""

from nnunet_femur.weights.install import download, install_folder, install_zip
from nnunet_femur.weights.models import (
    FEMURS,
    ModelEntry,
    SourceModel,
    crop_entry,
    femur_entry,
    find_crop_model,
    find_model,
    open_model,
    weights_folder,
)
from nnunet_femur.weights.verification import ModelProblem, load_checkpoint, verify

__all__ = [
    "FEMURS",
    "ModelEntry",
    "ModelProblem",
    "SourceModel",
    "crop_entry",
    "download",
    "femur_entry",
    "find_crop_model",
    "find_model",
    "install_folder",
    "install_zip",
    "load_checkpoint",
    "open_model",
    "verify",
    "weights_folder",
]
