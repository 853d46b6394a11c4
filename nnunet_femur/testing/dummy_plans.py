"""Description of a dummy model in nnU-Net's format: from its cases to their fingerprint, ``dataset.json`` and plans."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from nnunet_femur.dataset.nnunet_names import FULLRES, PLANS_NAME
from nnunet_femur.imaging.files import read_volume
from nnunet_femur.imaging.geometry import Geometry, oriented
from nnunet_femur.testing.phantoms import make_phantom
from nnunet_femur.weights.models import FEMURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.testing.phantoms import Side
    from nnunet_femur.weights.models import ModelEntry


NOTE = (
    "DUMMY weights made by nnunet_femur from synthetic CTs for tests and demonstrations. They are not "
    "TotalSegmentator's and were not trained on patients. Never use them on a patient's CT."
)
"""Note in the plans and in ``dataset.json`` of a dummy model."""

PlansFormat = Literal["old", "new"]
"""Format of the network's description: "old" for nnU-Net's keys before 2.4, as in TotalSegmentator's plans; "new" for
``architecture``."""

OTHER_BONE = {"left": "hip_left", "right": "hip_right"}
"""TotalSegmentator's class for bone beside the upper half of the femur, by the side of the leg."""

_LEAST_BONE_HU = 220

_GAP_TO_FEMUR_MM = 2.0

_SMALLEST_FEATURE_MAP = 4
"""Edge of the deepest feature maps in voxels."""


class Case(NamedTuple):
    """A CT of one leg, its reference mask and its side.

    Attributes:
        ct: The CT in HU, or its file.
        mask: The reference mask on the same grid, or its file; every value above 0 is femur.
        side: Side of the leg, "left" or "right".

    Example:
        >>> case = Case("ct.nrrd", "reference.nrrd", "left")
        >>> case.side
        'left'
    """

    ct: str | Path | sitk.Image
    mask: str | Path | sitk.Image
    side: Side


def phantom_cases(number: int = 8, *, seed: int = 0, spacing_mm: float = 3.0) -> Iterator[Case]:
    """Yield phantoms, left and right by turns, each a whole femur in a field of view of random size.

    Args:
        number: Number of phantoms.
        seed: Seed of the anatomy and of the field of view.
        spacing_mm: Isotropic spacing of the phantoms in mm.

    Example:
        >>> [case.side for case in phantom_cases(2, spacing_mm=12.0)]
        ['left', 'right']
    """
    rng = np.random.default_rng(seed)
    for index in range(number):
        edges_mm = np.array([480, 192, 192]) * rng.uniform([0.6, 0.85, 0.85], 1)
        z, y, x = (int(edge) for edge in np.ceil(edges_mm / spacing_mm))
        phantom = make_phantom(
            int(rng.integers(2**31)),
            side="left" if index % 2 == 0 else "right",
            size_zyx=(z, y, x),
            spacing_mm_zyx=(spacing_mm, spacing_mm, spacing_mm),
            noise_hu=rng.uniform(8, 30),
            blur_mm=rng.uniform(0.5, 1.1),
        )
        yield Case(phantom.image, phantom.mask, phantom.side)


def read_case(
    case: Case, classes: Mapping[str, int]
) -> tuple[NDArray[np.float32], NDArray[np.uint8], tuple[float, float, float]]:
    """Return CT, labels and spacing of a case in TotalSegmentator's orientation, RAS.

    The femur has the label of its side. Other bone beside its upper half has the label of the hip, so that the network
    has to distinguish the femur from another bone.

    Args:
        case: The case.
        classes: Label of each of TotalSegmentator's classes.

    Returns:
        HU and labels (z, y, x), and the spacing in mm (z, y, x).
    """
    import SimpleITK as sitk
    from scipy import ndimage

    ct, mask = (
        oriented(image if isinstance(image, sitk.Image) else read_volume(Path(image))) for image in (case.ct, case.mask)
    )
    hu = sitk.GetArrayFromImage(ct).astype(np.float32)
    femur = sitk.GetArrayViewFromImage(mask) > 0
    spacing_mm = Geometry.of(ct).spacing_mm_zyx
    labels = np.zeros(hu.shape, np.uint8)
    heights = np.flatnonzero(femur.any(axis=(1, 2)))
    if len(heights):
        beside = hu > _LEAST_BONE_HU
        beside[: heights.mean().astype(int)] = False
        beside &= ndimage.distance_transform_edt(~femur, spacing_mm) > _GAP_TO_FEMUR_MM
        labels[beside] = classes[OTHER_BONE[case.side]]
    labels[femur] = classes[FEMURS[0] if case.side == "left" else FEMURS[1]]
    return hu, labels, spacing_mm


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
        plans["configurations"] = {FULLRES: _with_architecture(plans)}
    return plans


def _with_architecture(plans: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with ``architecture``, by nnU-Net's own conversion."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return copy.deepcopy(PlansManager(plans).get_configuration(FULLRES).configuration)
