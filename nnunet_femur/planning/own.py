"""nnU-Net's own plans of a dataset, at the size of a preset."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.planning.presets import Preset


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
