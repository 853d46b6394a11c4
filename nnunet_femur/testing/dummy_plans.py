"""Plans, ``dataset.json`` and ``dataset_fingerprint.json`` of a dummy model, in nnU-Net's format."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nnunet_femur.dataset.nnunet_names import FULLRES, PLANS_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nnunet_femur.weights.models import ModelEntry


PlansFormat = Literal["old", "new"]
"""Format of the network's description: "old" for nnU-Net's keys before 2.4, as in TotalSegmentator's plans; "new" for
``architecture``."""

NOTE = (
    "DUMMY weights made by nnunet_femur from synthetic CTs for tests and demonstrations. They are not "
    "TotalSegmentator's and were not trained on patients. Never use them on a patient's CT."
)

_SMALLEST_FEATURE_MAP = 4


def make_plans(
    entry: ModelEntry,
    *,
    spacing_mm: float,
    patch: int,
    features: int,
    plans_format: PlansFormat,
    intensities: dict[str, float],
    median_shape_zyx: Sequence[int],
) -> dict[str, Any]:
    """Return the content of ``plans.json``.

    Args:
        entry: The model of TotalSegmentator that the dummy replaces.
        spacing_mm: Isotropic spacing of the network's input in mm.
        patch: Edge of the patch in voxels, a power of two.
        features: Number of features of the first stage.
        plans_format: Format of the network's description.
        intensities: nnU-Net's intensity statistics of the foreground, in HU.
        median_shape_zyx: Median shape of the cases at this spacing.
    """
    pools = int(np.log2(patch // _SMALLEST_FEATURE_MAP))
    resampling: dict[str, Any] = {}
    for name, order, is_seg in (("data", 3, False), ("seg", 1, True), ("probabilities", 1, False)):
        resampling[f"resampling_fn_{name}"] = "resample_data_or_seg_to_shape"
        resampling[f"resampling_fn_{name}_kwargs"] = {
            "is_seg": is_seg,
            "order": order,
            "order_z": 0,
            "force_separate_z": None,
        }
    configuration = {
        "data_identifier": f"{PLANS_NAME}_{FULLRES}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [patch] * 3,
        "median_image_size_in_voxels": [float(n) for n in median_shape_zyx],
        "spacing": [spacing_mm] * 3,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": features,
        "n_conv_per_stage_encoder": [2] * (pools + 1),
        "n_conv_per_stage_decoder": [2] * pools,
        "num_pool_per_axis": [pools] * 3,
        "pool_op_kernel_sizes": [[1, 1, 1], *([2, 2, 2] for _ in range(pools))],
        "conv_kernel_sizes": [[3, 3, 3] for _ in range(pools + 1)],
        "unet_max_num_features": 320,
        **resampling,
        "batch_dice": False,
    }
    plans = {
        "dataset_name": entry.dataset,
        "plans_name": PLANS_NAME,
        "original_median_spacing_after_transp": [spacing_mm] * 3,
        "original_median_shape_after_transp": [int(n) for n in median_shape_zyx],
        "image_reader_writer": "NibabelIOWithReorient",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {FULLRES: configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": intensities},
        "note": NOTE,
    }
    if plans_format == "new":
        plans["configurations"] = {FULLRES: _described_anew(plans)}
    return plans


def make_dataset_json(entry: ModelEntry, *, cases: int) -> dict[str, Any]:
    """Return the content of ``dataset.json``: TotalSegmentator's classes in the order of its output channels.

    Args:
        entry: The model of TotalSegmentator that the dummy replaces.
        cases: Number of training cases.
    """
    return {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **entry.classes},
        "numTraining": cases,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "NibabelIOWithReorient",
        "description": NOTE,
    }


def make_fingerprint(
    *, shapes_zyx: Sequence[Sequence[int]], spacing_mm: float, intensities: dict[str, float]
) -> dict[str, Any]:
    """Return the content of ``dataset_fingerprint.json``.

    Args:
        shapes_zyx: Shapes of the cases.
        spacing_mm: Their isotropic spacing in mm.
        intensities: Intensity statistics of the plans.
    """
    return {
        "spacings": [[spacing_mm] * 3 for _ in shapes_zyx],
        "shapes_after_crop": [[int(n) for n in shape] for shape in shapes_zyx],
        "foreground_intensity_properties_per_channel": {"0": intensities},
        "median_relative_size_after_cropping": 1.0,
    }


def intensity_statistics(hu: NDArray[np.float32]) -> dict[str, float]:
    """Return nnU-Net's statistics of HU, by which CTs are clipped and normalised.

    Args:
        hu: HU of the foreground, in any shape.

    Example:
        >>> intensity_statistics(np.array([0.0, 100.0, 200.0]))["median"]
        100.0
    """
    low, median, high = (float(value) for value in np.percentile(hu, (0.5, 50, 99.5)))
    return {
        "max": float(hu.max()),
        "mean": float(hu.mean()),
        "median": median,
        "min": float(hu.min()),
        "percentile_00_5": low,
        "percentile_99_5": high,
        "std": float(hu.std()),
    }


def _described_anew(plans: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with ``architecture``, by nnU-Net's own conversion."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return copy.deepcopy(PlansManager(plans).get_configuration(FULLRES).configuration)
