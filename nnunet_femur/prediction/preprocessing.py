"""Preprocessing of a CT as in nnU-Net: cropped (also to the box that can contain bone), normalized and resampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.prediction.axis_resampling import DEFAULT_FUNCTION, Resampling, along, plan_resampling
from nnunet_femur.prediction.postprocessing import label_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from numpy.typing import NDArray


BONE_HU = 150.0
"""Threshold of bone in HU: above soft tissue, and far below the cortex."""

MARGIN_MM = 25.0
"""Margin around bone in mm, for its less dense ends and for the surroundings that the network sees."""

_SAMPLE_MM, _SPECK_ML = 2.5, 5.0
"""Spacing of the examined voxels in mm, and volume in ml below which a dense piece does not count as bone."""

_SLAB_BYTES = {"cpu": 64 << 20, "cuda": 256 << 20}
"""Approximate size of the part of a volume that is in memory in single precision at a time, by kind of device."""

_TRANSFERABLE = (np.int8, np.uint8, np.int16, np.int32, np.float32)
"""Types of voxels that PyTorch has on all devices; others are converted before they are transferred."""

_SMALLEST_DEVIATION = 1e-8
"""nnU-Net's lower bound of the standard deviation that it divides by."""

_BY_VOXEL = ("CTNormalization", "NoNormalization")
"""nnU-Net's normalizations of single voxels, which can be applied to a part of a volume."""


@dataclass(frozen=True)
class Preprocessed:
    """A CT on the network's grid, with the properties that export needs.

    Attributes:
        data: The normalized voxels, shape (1, *axes of the plans).
        properties: Properties that nnU-Net's preprocessing records: ``spacing`` (z, y, x in mm),
            ``shape_before_cropping``, ``bbox_used_for_cropping`` and ``shape_after_cropping_and_before_resampling``
            (axes of the plans).
    """

    data: torch.Tensor
    properties: dict[str, Any]


def is_default(predictor: nnUNetPredictor) -> bool:
    """Return True if the plans ask for nnU-Net's default preprocessing, which is done here faster and slab by slab."""
    settings = predictor.configuration_manager.configuration
    return (
        settings["preprocessor_name"] == "DefaultPreprocessor"
        and all(scheme in _BY_VOXEL for scheme in settings["normalization_schemes"])
        and settings["resampling_fn_data"] == settings["resampling_fn_probabilities"] == DEFAULT_FUNCTION
        and not predictor.label_manager.has_regions
    )


def preprocess(voxels_zyx: NDArray, spacing_mm_zyx: Sequence[float], predictor: nnUNetPredictor) -> Preprocessed:
    """Crop, normalize and resample a CT for a network, as nnU-Net's preprocessing does but for rounding.

    Args:
        voxels_zyx: The CT (z, y, x) in HU, in the orientation that the network was trained in.
        spacing_mm_zyx: Its spacing in mm.
        predictor: nnU-Net's predictor with plans and network.
    """
    if not is_default(predictor):
        return _preprocess_by_nnunet(voxels_zyx, spacing_mm_zyx, predictor)
    plans = predictor.plans_manager
    voxels = voxels_zyx.transpose(plans.transpose_forward)
    box = nonzero_box(voxels)
    properties = {
        "spacing": list(spacing_mm_zyx),
        "shape_before_cropping": voxels.shape,
        "bbox_used_for_cropping": [[part.start, part.stop] for part in box],
        "shape_after_cropping_and_before_resampling": voxels[box].shape,
    }
    resampling = _network_resampling(voxels[box].shape, spacing_mm_zyx, predictor)
    return Preprocessed(_on_device_or_cpu(voxels[box], resampling, predictor), properties)


def nonzero_box(voxels: NDArray) -> tuple[slice, ...]:
    """Return the smallest box that contains every voxel that is not 0; the whole volume if all are 0.

    nnU-Net fills holes before it takes the box, which takes long and does not change the box. Unlike
    :func:`~nnunet_femur.imaging.boxes.box_of`, this looks only at the planes outside the box.

    Args:
        voxels: A volume, in any order of axes.
    """
    box = []
    for axis in range(3):
        planes = np.moveaxis(voxels, axis, 0)
        first, last = 0, len(planes)
        while first < last and not planes[first].any():
            first += 1
        while last > first and not planes[last - 1].any():
            last -= 1
        box.append(slice(first, last) if last > first else slice(0, len(planes)))
    return tuple(box)


def bone_box(voxels_zyx: NDArray, spacing_mm_zyx: Sequence[float]) -> tuple[slice, ...]:
    """Return the box that contains everything as dense as bone, with a margin; the whole CT if nothing is.

    Other dense objects make the box larger, never smaller.

    Args:
        voxels_zyx: The CT (z, y, x) in HU.
        spacing_mm_zyx: Its spacing in mm.
    """
    steps = [max(1, int(_SAMPLE_MM / spacing)) for spacing in spacing_mm_zyx]
    dense = voxels_zyx[tuple(slice(None, None, step) for step in steps)] > BONE_HU
    sample_ml = float(np.prod([step * spacing for step, spacing in zip(steps, spacing_mm_zyx, strict=True)])) / 1000
    labels, sizes = label_pieces(dense)
    large = np.concatenate([[False], sizes * sample_ml >= _SPECK_ML])
    if not large.any():
        return tuple(slice(0, length) for length in voxels_zyx.shape)
    box = []
    for part, step, spacing, length in zip(box_of(large[labels]), steps, spacing_mm_zyx, voxels_zyx.shape, strict=True):
        margin = int(np.ceil(MARGIN_MM / spacing))
        box.append(slice(max(0, part.start * step - margin), min(length, part.stop * step + margin)))
    return tuple(box)


def network_spacing_mm(predictor: nnUNetPredictor, spacing_mm_zyx: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the spacing of a CT and that of the network in mm, both along the axes of the plans.

    A 2D configuration keeps the spacing of the slices.

    Args:
        predictor: nnU-Net's predictor with plans.
        spacing_mm_zyx: Spacing of the CT in mm.
    """
    own = [float(spacing_mm_zyx[axis]) for axis in predictor.plans_manager.transpose_forward]
    wanted = [float(spacing) for spacing in predictor.configuration_manager.spacing]
    return own, [own[0], *wanted] if len(wanted) < len(own) else wanted


def work_device(predictor: nnUNetPredictor) -> torch.device:
    """Return the device that arrays are resampled on: the network's if it is a CUDA device, else the CPU."""
    import torch

    return predictor.device if predictor.device.type == "cuda" else torch.device("cpu")


def slabs(length: int, bytes_each: int, device: torch.device) -> list[slice]:
    """Divide a volume along its first axis into parts that are small enough to be in memory in single precision.

    Args:
        length: Number of planes along the axis.
        bytes_each: Bytes of a plane in single precision.
        device: Device that works on a part.
    """
    step = max(1, _SLAB_BYTES[device.type] // max(1, bytes_each))
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def _preprocess_by_nnunet(
    voxels_zyx: NDArray, spacing_mm_zyx: Sequence[float], predictor: nnUNetPredictor
) -> Preprocessed:
    import torch

    configuration = predictor.configuration_manager
    preprocessor = configuration.preprocessor_class(verbose=False)
    data, _, properties = preprocessor.run_case_npy(
        voxels_zyx[None].astype(np.float32),
        None,
        {"spacing": list(spacing_mm_zyx)},
        predictor.plans_manager,
        configuration,
        predictor.dataset_json,
    )
    return Preprocessed(torch.from_numpy(np.ascontiguousarray(data)), properties)


def _network_resampling(
    shape: Sequence[int], spacing_mm_zyx: Sequence[float], predictor: nnUNetPredictor
) -> Resampling:
    from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape

    own, wanted = network_spacing_mm(predictor, spacing_mm_zyx)
    new_shape = [int(n) for n in compute_new_shape(shape, own, wanted)]
    settings = predictor.configuration_manager.configuration["resampling_fn_data_kwargs"]
    return plan_resampling(shape, new_shape, own, wanted, settings)


def _on_device_or_cpu(voxels: NDArray, resampling: Resampling, predictor: nnUNetPredictor) -> torch.Tensor:
    """Normalize and resample on the device, or on the CPU if the device's memory is too small."""
    import torch

    device = work_device(predictor)
    try:
        return _normalized_and_resampled(voxels, resampling, predictor, device)
    except torch.OutOfMemoryError:
        if device.type == "cpu":
            raise
    return _normalized_and_resampled(voxels, resampling, predictor, torch.device("cpu"))


def _normalized_and_resampled(
    voxels: NDArray, resampling: Resampling, predictor: nnUNetPredictor, device: torch.device
) -> torch.Tensor:
    """Normalize and resample slab by slab, so that the CT is never in memory in single precision as a whole."""
    import torch

    normalize = _normalization(predictor)
    # Slices that are resized one by one must not be divided between slabs.
    cut = resampling.slicewise_axis or 0
    voxels = voxels.swapaxes(0, cut)
    matrices = [torch.from_numpy(matrix).float().to(device) for matrix in resampling.matrices]
    matrices[0], matrices[cut] = matrices[cut], matrices[0]
    planes = torch.empty(len(voxels), len(matrices[1]), len(matrices[2]), device=device)
    lowest, highest = np.inf, -np.inf
    for slab in slabs(len(voxels), 4 * voxels[0].size, device):
        # Integers are transferred as such, which takes half the time. Normalizing writes into the copy.
        part = torch.from_numpy(_transferable(voxels[slab])).to(device)
        values = normalize(part.float())
        if resampling.changes_nothing:
            planes[slab] = values
            continue
        lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        bounds = _bounds_of_slices(values)
        values = along(along(values, matrices[1], 1), matrices[2], 2)
        # A cubic spline overshoots at an edge; scikit-image cuts that off in what it resizes at a time.
        planes[slab] = values if resampling.slicewise_axis is None else values.clamp(*bounds)
    if not resampling.changes_nothing:
        planes = along(planes, matrices[0], 0)
        if resampling.slicewise_axis is None:
            planes.clamp_(lowest, highest)
    return planes.swapaxes(0, cut).contiguous()[None].cpu()


def _bounds_of_slices(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return values.amin(dim=(1, 2), keepdim=True), values.amax(dim=(1, 2), keepdim=True)


def _transferable(voxels: NDArray) -> NDArray:
    """Return a copy in a type that PyTorch has on all devices."""
    kind = voxels.dtype if voxels.dtype in _TRANSFERABLE else np.float32
    return np.array(voxels, dtype=kind, order="C")


def _normalization(predictor: nnUNetPredictor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return nnU-Net's normalization as a function that changes a tensor in single precision."""
    if predictor.configuration_manager.normalization_schemes[0] == "NoNormalization":
        return lambda values: values
    properties = predictor.plans_manager.foreground_intensity_properties_per_channel["0"]
    lowest, highest = properties["percentile_00_5"], properties["percentile_99_5"]
    mean, deviation = properties["mean"], max(properties["std"], _SMALLEST_DEVIATION)
    return lambda values: values.clamp_(lowest, highest).sub_(mean).div_(deviation)
