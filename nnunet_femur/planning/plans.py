"""Plans of a dataset: from a planner of nnU-Net at the size of a preset, or from TotalSegmentator's model."""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

from nnunet_femur.consistency import SOURCE_KEY
from nnunet_femur.dataset.nnunet_names import FULLRES, READER_WITH_REORIENT
from nnunet_femur.errors import InputError
from nnunet_femur.planning.planners import planner_class
from nnunet_femur.records import sha256

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.planning.training_presets import Preset
    from nnunet_femur.weights import SourceModel


def own_plans(
    dataset_id: int, preset: Preset, *, planner: str | None = None, plans_file: Path, configurations: Sequence[str]
) -> dict[str, Any]:
    """Return plans of a planner of nnU-Net, which chooses spacing, patch and network by the dataset's fingerprint.

    Args:
        dataset_id: nnU-Net's dataset number; its fingerprint must exist.
        preset: Limits of patch and network.
        planner: Name of the planner, see :func:`~nnunet_femur.planning.planners.find_planner`; None for nnU-Net's
            default planner.
        plans_file: The file that nnU-Net writes the plans to, named after the plans.
        configurations: The configurations that are needed.

    Raises:
        InputError: nnU-Net planned no such configuration for these images, or the planner does not exist (code
            "invalid-option").
    """
    planner_type = planner_class(planner, preset)
    # nnU-Net's planner would keep configurations of earlier plans with this name.
    plans_file.unlink(missing_ok=True)
    plans = planner_type(dataset_id, plans_name=plans_file.stem).plan_experiment()
    missing = [name for name in configurations if name not in plans["configurations"]]
    if missing:
        msg = (
            f"{plans_file}: nnU-Net planned no configuration {', '.join(missing)} for these images, only "
            f"{', '.join(plans['configurations'])}. Choose one of these."
        )
        raise InputError(msg, code="invalid-option")
    written: dict[str, Any] = json.loads(plans_file.read_text(encoding="utf-8"))
    for name, configuration in written["configurations"].items():
        if "data_identifier" in configuration:
            # Planners of residual encoders share the data of nnUNetPlans. Preprocessing again would delete data that
            # another training reads, and each plans have a fingerprint of their own beside their data.
            configuration["data_identifier"] = f"{plans_file.stem}_{name}"
    return written


Spacing = Literal["source", "native"]
"""Spacing of plans from TotalSegmentator's model: that of the model, or the one nnU-Net plans for the dataset."""


def transferred_plans(
    dataset_id: int, source: SourceModel, *, plans_name: str, spacing: Spacing, fast: bool
) -> dict[str, Any]:
    """Return the plans of a source model for another dataset.

    Topology of the network, patch and batch size, intensity statistics, normalisation and resampling stay. The names,
    the reader (the source's reader cannot read NRRD) and the sizes of images are replaced.

    Args:
        dataset_id: nnU-Net's dataset number; its fingerprint must exist.
        source: The model whose weights will be transferred; its plans may have nnU-Net's old or new format.
        plans_name: Name of the new plans.
        spacing: "source" for the spacing at which the weights were trained; "native" for the spacing that nnU-Net plans
            for the dataset, at which the same anatomy has another size in voxels.
        fast: The source is TotalSegmentator's 3 mm model.

    Raises:
        SetupError: The weights do not fit the network of these plans (code "invalid-weights").
    """
    import numpy as np
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(deepcopy(source.plans))
    with warnings.catch_warnings():
        # nnU-Net warns about plans in its old format. The new plans have the new format.
        warnings.simplefilter("ignore", UserWarning)
        configuration = deepcopy(manager.get_configuration(FULLRES).configuration)
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
    left, right = source.femur_channels
    configuration |= {
        "data_identifier": f"{plans_name}_{FULLRES}",
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
        "image_reader_writer": READER_WITH_REORIENT,
        "transpose_forward": forward,
        "transpose_backward": [int(axis) for axis in manager.plans["transpose_backward"]],
        "configurations": {FULLRES: configuration},
        "experiment_planner_used": manager.plans.get("experiment_planner_used", "ExperimentPlanner"),
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": manager.foreground_intensity_properties_per_channel,
    }


def check_fit(source: SourceModel, configuration: dict[str, Any]) -> None:
    """Compare every tensor of the weights with the network of the plans, before any case is preprocessed.

    Args:
        source: The model with the weights.
        configuration: The configuration that describes the network.

    Raises:
        SetupError: Some tensors do not fit; the message contains a line for each (code "invalid-weights").
    """
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    from nnunet_femur.training.finetune.weight_transfer import require_fit
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
