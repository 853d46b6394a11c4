"""Weights that trainings start from: TotalSegmentator's models and pretrained encoders."""

from nnunet_femur.weights.checkpoint import load_checkpoint
from nnunet_femur.weights.download import download
from nnunet_femur.weights.install import install_folder, install_zip
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
from nnunet_femur.weights.verification import ModelProblem, verify

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
