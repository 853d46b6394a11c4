"""Description of an ONNX model for programs that run it: ``model.json``, and the models that it cannot describe."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.model_export.stock_model import is_stock
from nnunet_femur.prediction.axis_resampling import DEFAULT_FUNCTION
from nnunet_femur.prediction.network_input import CANONICAL
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunet_femur.model_export.trained_networks import TrainedNetworks
    from nnunet_femur.networks.three_planes import ThreePlaneNetwork

STEP = 0.5
"""Distance between neighbouring windows as a fraction of the window: nnU-Net's default."""

_KEYS = {
    "folds": "Names K of the networks fold_K.onnx. Several are an ensemble: the mean of their probabilities decides.",
    "labels": "Labels of the training data.",
    "orientation": "Directions in which the voxels' indices x, y, z increase: right, anterior, superior.",
    "axes_xyz": "Order of the axes x, y, z after reorientation. All that follows is in its reverse, as in arrays.",
    "spacing_mm": "Spacing of the network's input; null: that of the CT.",
    "thick_slices_ratio": "If the spacing (of the CT, else of the network) is this many times larger along one axis "
    "than along another one, slices across it are resampled one by one, and repeated or omitted along the axis.",
    "clip_hu": "HU are clipped to this range; mean_hu is subtracted, and the result is divided by std_hu. Then the CT "
    "is resampled, by a cubic spline.",
    "window": "Size of the sliding window in voxels. A smaller CT is padded with 0 on both sides.",
    "step": "Largest distance between neighbouring windows in voxels.",
    "smallest_weight": "A window's weights are a Gaussian with a standard deviation of an eighth of its size and a "
    "maximum of 10, and at least this.",
    "mirrored_axes": "Axes over which a window is mirrored in each of the passes that are averaged.",
    "channels": "Output channels. Their logits are resampled linearly to the CT's grid.",
    "femur_channels": "A voxel is femur where the largest logit is in one of these channels. The probability of femur "
    "is the softmax of the largest of their logits and the largest of the other channels.",
    "slices": "Only for networks of slices. In each of the planes, the window without its border of zeros is cut "
    "across `axis`, and each slice goes through the network with its `neighbours` on either side, resized by `scale` "
    "along the other two axes and padded with 0 to a multiple of `stride`. The probabilities, resized back, are "
    "averaged with the planes' weights (by the name of the fold, if they differ); a border of zeros has equal "
    "probabilities; their logarithm, at least that of 1e-6, replaces the logits. For an `oblique` plane, the window is "
    "rotated by 45 degrees in the plane of the axes `along` and `axis` before it is cut, as run_slices.py does.",
}


def require_describable(networks: TrainedNetworks) -> None:
    """Refuse models whose preprocessing or labels the runner does not compute.

    Raises:
        InputError: The model cannot be exported (code "unsupported").
    """
    settings = networks.configuration.configuration
    reader = str(networks.model.plans.get("image_reader_writer", ""))
    problems = {
        "labels with regions": networks.label_manager.has_regions,
        "several input channels": len(networks.model.dataset.get("channel_names", {0: "CT"})) > 1,
        "another normalisation than CTNormalization": list(settings["normalization_schemes"]) != ["CTNormalization"],
        "another preprocessor than DefaultPreprocessor": settings["preprocessor_name"] != "DefaultPreprocessor",
        "another resampling than nnU-Net's default": not _is_default(settings),
        f"an image reader that does not reorient ({reader})": not reader.endswith("WithReorient"),
    }
    found = [problem for problem, is_there in problems.items() if is_there]
    if found:
        fix = "Export it with --to nnunet." if is_stock(networks) else "Run it with nnfemur predict."
        msg = f"{networks.model.name}: cannot be exported to this format: it has {', '.join(found)}. {fix}"
        raise InputError(msg, code="unsupported")


def describe(networks: TrainedNetworks, planes: ThreePlaneNetwork | None) -> dict[str, Any]:
    """Return the content of ``model.json``.

    Args:
        networks: The model.
        planes: The wrapper of a network of slices that predicts volumes plane by plane.
    """
    configuration, plans = networks.configuration, networks.plans
    intensities = plans.foreground_intensity_properties_per_channel["0"]
    patch = [int(n) for n in configuration.patch_size]
    missing = 3 - len(patch)
    described: dict[str, Any] = {
        "made_by": f"nnunet_femur {__version__}",
        "model": networks.model.name,
        "folds": list(networks.folds),
        "labels": networks.labels,
        "orientation": CANONICAL,
        # Axes of SimpleITK are those of an array in reverse.
        "axes_xyz": [2 - int(axis) for axis in reversed(plans.transpose_forward)],
        "spacing_mm": [*[None] * missing, *map(float, configuration.spacing)][-3:],
        "thick_slices_ratio": _thick_slices_ratio(configuration.configuration),
        "clip_hu": [float(intensities["percentile_00_5"]), float(intensities["percentile_99_5"])],
        "mean_hu": float(intensities["mean"]),
        "std_hu": max(float(intensities["std"]), 1e-8),
        "window": [*[1] * missing, *patch],
        "step": [*[1.0] * missing, *(n * STEP for n in patch)],
        "smallest_weight": smallest_weight(patch),
        "mirrored_axes": mirrored_axes(networks.mirror_axes, len(patch)),
        "channels": networks.channels,
        "femur_channels": list(networks.femur_channels),
    }
    if planes is not None:
        described["slices"] = describe_slices(planes, dict(zip(networks.folds, networks.weights, strict=True)))
    return described | {"meaning": {key: text for key, text in _KEYS.items() if key in described}}


def describe_slices(planes: ThreePlaneNetwork, folds: Mapping[Any, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the part of ``model.json`` about the slices of a network that predicts volumes plane by plane.

    Args:
        planes: The wrapper of the network.
        folds: State of the network of each fold, with learned weights of planes.
    """
    weights: list[Any] = [float(weight) for weight in planes.weights]
    if planes.learned_weights is not None:
        learned = {str(fold): state["learned_weights"].tolist() for fold, state in folds.items()}
        weights = [{fold: of_fold[n] for fold, of_fold in learned.items()} for n in range(len(planes.axes))]
    return {
        "planes": [
            {**_describe_plane(planes, axis), "weight": weight}
            for axis, weight in zip(planes.axes, weights, strict=True)
        ],
        "stride": int(planes.stride),
        "neighbours": int(planes.neighbours),
    }


def _describe_plane(planes: ThreePlaneNetwork, axis: int) -> dict[str, Any]:
    from nnunet_femur.networks.oblique_planes import OBLIQUE

    scale = [float(each) for each in planes.scale]
    if axis not in OBLIQUE:
        return {"axis": int(axis), "scale": [scale[other] for other in range(3) if other != axis]}
    plane = OBLIQUE[axis]
    of_slice = [1.0, scale[plane.third]] if plane.has_rows_along else [scale[plane.third], 1.0]
    rotation = {"along": plane.along, "sign": plane.sign, "pixels": [scale[plane.along], scale[plane.across]]}
    return {"axis": plane.across, "scale": of_slice, "oblique": rotation}


def mirrored_axes(axes: Sequence[int] | None, dimensions: int) -> list[list[int]]:
    """Return the axes of each pass over a mirrored window, counted from the last, in nnU-Net's order.

    Args:
        axes: The axes that nnU-Net mirrors, counted from the first of the window; None for none.
        dimensions: Number of axes of the window.

    Example:
        >>> mirrored_axes((0, 2), 3)
        [[], [-3], [-1], [-3, -1]]
    """
    counted = [int(axis) - dimensions for axis in axes or ()]
    return [list(chosen) for count in range(len(counted) + 1) for chosen in combinations(counted, count)]


def smallest_weight(patch_size: Sequence[int]) -> float:
    """Return the weight that replaces 0 in nnU-Net's Gaussian window, which is in half precision.

    Args:
        patch_size: Size of the window.

    Example:
        >>> smallest_weight([128, 128, 128])
        5.960464477539063e-08
    """
    weights = np.ones(1)
    for n in patch_size:
        side = np.exp(-0.5 * ((np.arange(n) - n // 2) / (n / 8)) ** 2)
        weights = np.unique(np.multiply.outer(weights, np.unique(side)))
    in_half = (10 * weights).astype(np.float16)
    return float(in_half[in_half > 0].min())


def _is_default(settings: dict[str, Any]) -> bool:
    of_data, of_logits = settings["resampling_fn_data_kwargs"], settings["resampling_fn_probabilities_kwargs"]
    return (
        settings["resampling_fn_data"] == settings["resampling_fn_probabilities"] == DEFAULT_FUNCTION
        and (of_data.get("order", 3), of_data.get("order_z", 0)) == (3, 0)
        and (of_logits.get("order", 3), of_logits.get("order_z", 0)) == (1, 0)
        and of_data.get("force_separate_z", False) == of_logits.get("force_separate_z", False)
    )


def _thick_slices_ratio(settings: dict[str, Any]) -> float:
    from nnunetv2.configuration import ANISO_THRESHOLD

    forced = settings["resampling_fn_data_kwargs"].get("force_separate_z", False)
    if forced is None:
        return float(ANISO_THRESHOLD)
    # Always along the largest spacing, or never.
    return 0.0 if forced else 1e9
