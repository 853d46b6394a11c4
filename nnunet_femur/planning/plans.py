"""Plans of a femur dataset: nnU-Net's own at the size of a preset, or those of TotalSegmentator's network."""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

from nnunet_femur.consistency import SOURCE_KEY
from nnunet_femur.errors import InputError
from nnunet_femur.records import sha256

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.planning.training_presets import Preset
    from nnunet_femur.weights import SourceModel


def own_plans(dataset_id: int, preset: Preset, *, plans_file: Path, configurations: Sequence[str]) -> dict[str, Any]:
    """Let nnU-Net's planner decide about spacing, patch and network from the dataset's fingerprint.

    Args:
        dataset_id: nnU-Net's dataset number; its fingerprint must exist.
        preset: The size to hold the planner to.
        plans_file: Where the plans will stand; nnU-Net names them after it.
        configurations: The configurations that are needed.

    Raises:
        InputError: nnU-Net planned no such configuration for these images.
    """
    # nnU-Net's planner would keep configurations of earlier plans that ours do not have.
    plans_file.unlink(missing_ok=True)
    planner = _planner(preset)(dataset_id, plans_name=plans_file.stem)
    plans = planner.plan_experiment()
    missing = [name for name in configurations if name not in plans["configurations"]]
    if missing:
        msg = f"{plans_file}: nnU-Net planned no {', '.join(missing)}, but {', '.join(plans['configurations'])}."
        raise InputError(msg)
    written: dict[str, Any] = json.loads(plans_file.read_text(encoding="utf-8"))
    return written


def _planner(preset: Preset) -> type:
    """nnU-Net's planner, held to the size of a preset."""
    import numpy as np
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner

    if preset.largest_patch is None:
        return ExperimentPlanner
    largest_patch, base_features = preset.largest_patch, preset.base_features

    class SmallPlanner(ExperimentPlanner):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.UNet_base_num_features = base_features
            # A small patch is wanted, so there is no need of a coarser stage that sees more.
            self.lowres_creation_threshold = 0

        def get_plans_for_configuration(self, spacing: Any, median_shape: Any, *args: Any) -> dict:
            # nnU-Net never plans a patch larger than the median image, so a smaller one bounds the patch.
            bounded = np.minimum(median_shape, largest_patch[len(spacing)])
            plan = super().get_plans_for_configuration(spacing, bounded, *args)
            plan["median_image_size_in_voxels"] = median_shape
            plan["batch_size"] = self.UNet_min_batch_size
            return plan

    return SmallPlanner


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
