"""Names of nnU-Net's plans, configurations, checkpoints and of the files beside them."""

from __future__ import annotations

PLANS_NAME = "nnUNetPlans"
"""nnU-Net's default name of plans; its commands use plans of this name unless ``-p`` gives another."""

FULLRES = "3d_fullres"
"""The configuration with whole volumes at full resolution; also the one of TotalSegmentator's models."""

SLICES_2D = "2d"
"""nnU-Net's configuration with slices."""

PLANS_JSON = "plans.json"
"""File with the plans in the folder of a trained model."""

DATASET_FINGERPRINT = "dataset_fingerprint.json"
"""File with nnU-Net's fingerprint of a dataset (shapes, spacings, intensities), in the preprocessed dataset."""

CHECKPOINT_FINAL = "checkpoint_final.pth"
"""File with the network at the end of a training, in the folder of a fold."""

READER_WITH_REORIENT = "SimpleITKIOWithReorient"
"""nnU-Net's reader that turns any file to RAS, the order in which TotalSegmentator gives CTs to its network."""


def fold_folder(fold: int | str) -> str:
    """Return the name of a fold's folder in a trained model.

    Args:
        fold: Number of the fold, or "all".

    Example:
        >>> fold_folder(0)
        'fold_0'
    """
    return f"fold_{fold}"


def model_folder(trainer: str, *, plans_name: str = PLANS_NAME, configuration: str = FULLRES) -> str:
    """Return the name of a trained model's folder below the results of its dataset.

    Args:
        trainer: Class name of the trainer.
        plans_name: Name of the plans.
        configuration: Name of the configuration.

    Example:
        >>> model_folder("FemurFinetuneTrainer")
        'FemurFinetuneTrainer__nnUNetPlans__3d_fullres'
    """
    return f"{trainer}__{plans_name}__{configuration}"
