"""Plans that let TotalSegmentator's network work on a femur dataset, spacing, orientation and intensities included."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

from nnunet_femur.consistency import SOURCE_KEY
from nnunet_femur.records import sha256

if TYPE_CHECKING:
    from nnunet_femur.weights import SourceModel

CONFIGURATION = "3d_fullres"
"""The configuration of TotalSegmentator's models, and of the plans that are made of them."""

READER = "SimpleITKIOWithReorient"
"""nnU-Net's reader that turns any file to RAS, the order in which TotalSegmentator feeds its network."""

Spacing = Literal["source", "native"]


def transferred_plans(
    dataset_id: int, source: SourceModel, *, plans_name: str, spacing: Spacing, fast: bool
) -> dict[str, Any]:
    """The source's plans, addressed to another dataset.

    Kept are the network's topology, patch and batch, intensity statistics, normalisation and resampling; replaced are
    the names, the reader (the source's cannot read NRRD) and what is said about image sizes.

    Args:
        dataset_id: nnU-Net's dataset number; its fingerprint must exist.
        source: The model whose weights will be transferred; its plans may have the old or the new format.
        plans_name: Name of the plans to make.
        fast: Whether the source is TotalSegmentator's 3 mm model.
        spacing: "source" keeps the spacing that the weights were trained at; "native" takes the one that nnU-Net
            would plan for the dataset, so that the topology meets other sizes of the same anatomy.

    Raises:
        SetupError: The weights do not fit the network of these plans.
    """
    import numpy as np
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(deepcopy(source.plans))
    with warnings.catch_warnings():
        # nnU-Net warns of the old format, which is converted here once and for all.
        warnings.simplefilter("ignore", UserWarning)
        configuration = deepcopy(manager.get_configuration(CONFIGURATION).configuration)
    forward = [int(axis) for axis in manager.transpose_forward]
    planner = ExperimentPlanner(dataset_id)
    fingerprint = planner.dataset_fingerprint
    if spacing == "native":
        configuration["spacing"] = [float(mm) for mm in planner.determine_fullres_target_spacing()[forward]]
    spacings = [np.array(mm)[forward] for mm in fingerprint["spacings"]]
    shapes = [np.array(voxels)[forward] for voxels in fingerprint["shapes_after_crop"]]
    resampled = [
        compute_new_shape(shape, mm, configuration["spacing"]) for shape, mm in zip(shapes, spacings, strict=True)
    ]
    left, right = source.femur_rows
    configuration |= {
        "data_identifier": f"{plans_name}_{CONFIGURATION}",
        "median_image_size_in_voxels": [float(n) for n in np.median(resampled, 0)],
        SOURCE_KEY: {
            "dataset": source.dataset,
            "fast": fast,
            "model": source.folder.name,
            "outputs": len(source.dataset_json["labels"]),
            "femur_rows": [left, right],
            "checkpoint_sha256": sha256(source.checkpoint),
        },
    }
    check_fit(source, configuration)
    return {
        "dataset_name": planner.dataset_name,
        "plans_name": plans_name,
        "original_median_spacing_after_transp": [float(mm) for mm in np.median(spacings, 0)],
        "original_median_shape_after_transp": [round(float(n)) for n in np.median(shapes, 0)],
        "image_reader_writer": READER,
        "transpose_forward": forward,
        "transpose_backward": [int(axis) for axis in manager.plans["transpose_backward"]],
        "configurations": {CONFIGURATION: configuration},
        "experiment_planner_used": manager.plans.get("experiment_planner_used", "ExperimentPlanner"),
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": manager.foreground_intensity_properties_per_channel,
    }


def check_fit(source: SourceModel, configuration: dict[str, Any]) -> None:
    """Compare every tensor of the weights with the network that the plans describe, before anything is preprocessed.

    Raises:
        SetupError: With one line for each tensor that does not fit.
    """
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    from nnunet_femur.training.transfer import require_fit
    from nnunet_femur.weights import load_checkpoint

    architecture = configuration["architecture"]
    network = get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        1,
        configuration[SOURCE_KEY]["outputs"],
        deep_supervision=True,
    )
    require_fit(
        load_checkpoint(source.checkpoint)["network_weights"],
        network.state_dict(),
        problem=f"{source.checkpoint}: these weights do not fit the network of the plans beside them.",
        remedy="Install the model again: nnfemur weights download",
    )
