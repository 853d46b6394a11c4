"""nnU-Net's planners: found by their names, and limited to the size of a preset."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from nnunet_femur.arguments import suggestion
from nnunet_femur.dataset.nnunet_names import PLANS_NAME
from nnunet_femur.errors import InputError
from nnunet_femur.recipe.trainer_names import class_names, package_folders

if TYPE_CHECKING:
    from nnunet_femur.planning.training_presets import Preset

SHORT_NAMES = {f"ResEnc{size}": f"nnUNetPlannerResEnc{size}" for size in ("M", "L", "XL")}
"""Planners of nnU-Net's residual encoder networks by short name; nnU-Net recommends ResEncL."""

DEFAULT_PLANNER = "ExperimentPlanner"
"""nnU-Net's default planner, whose networks have plain convolutions."""

_SMALL = "Small"
"""Beginning of the name of a planner that a preset limits."""


def planner_name(name: str) -> str:
    """Return the class name of a planner from its short name, or from the class name itself.

    Example:
        >>> planner_name("ResEncL"), planner_name("nnUNetPlannerResEncM_torchres")
        ('nnUNetPlannerResEncL', 'nnUNetPlannerResEncM_torchres')
    """
    return SHORT_NAMES.get(name, name)


def known_planners() -> list[str]:
    """Return the names of nnU-Net's planners, read from its source files, and the short names.

    Example:
        >>> {"ResEncM", "nnUNetPlannerResEncL", "ExperimentPlanner"} <= {*known_planners()}
        True
    """
    places = [place / "experiment_planning" for place in package_folders("nnunetv2")]
    classes = {name for name in class_names(places) if "Planner" in name}
    return sorted({*classes, *SHORT_NAMES})


def planner_problem(name: str) -> str | None:
    """Return the problem of a planner's name in a sentence; None for a planner that exists.

    Args:
        name: A short name, a class name of nnU-Net, or ``MODULE.CLASS`` of an importable planner, which is not imported
            here.

    Example:
        >>> planner_problem("ResEncS")
        "unknown planner ResEncS. Did you mean 'ResEncM'?"
    """
    if "." in name or name in (known := known_planners()):
        return None
    return f"unknown planner {name}.{suggestion(name, known)}"


def find_planner(name: str) -> type:
    """Return the class of a planner.

    Args:
        name: As for :func:`planner_problem`.

    Raises:
        InputError: The planner does not exist, cannot be imported, or is not a planner (code "invalid-option").
    """
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

    if problem := planner_problem(name):
        msg = f"planner: {problem}"
        raise InputError(msg, code="invalid-option")
    module, _, own = planner_name(name).rpartition(".")
    try:
        if module:
            found = getattr(importlib.import_module(module), own)
        else:
            folder = next(place / "experiment_planning" for place in package_folders("nnunetv2"))
            found = recursive_find_python_class(str(folder), own, current_module="nnunetv2.experiment_planning")
    except (ImportError, AttributeError) as error:
        msg = f"planner {name}: cannot be imported ({error}). Install its package, or correct the name."
        raise InputError(msg, code="invalid-option") from error
    if not (isinstance(found, type) and issubclass(found, ExperimentPlanner)):
        msg = f"planner {name}: is not a subclass of nnU-Net's {DEFAULT_PLANNER}. Give the name of a planner."
        raise InputError(msg, code="invalid-option")
    return found


def default_plans_name(planner: str | None) -> str:
    """Return the name that a planner gives its plans; None: nnU-Net's default planner.

    Args:
        planner: As for :func:`planner_problem`.

    Raises:
        InputError: As for :func:`find_planner`.

    Example:
        >>> default_plans_name("ResEncL"), default_plans_name(None)
        ('nnUNetResEncUNetLPlans', 'nnUNetPlans')
    """
    if planner is None:
        return PLANS_NAME
    size = planner_name(planner).removeprefix("nnUNetPlannerResEnc")
    if f"ResEnc{size}" in SHORT_NAMES:
        # Known without importing nnU-Net, which takes seconds.
        return f"nnUNetResEncUNet{size}Plans"
    default = inspect.signature(find_planner(planner)).parameters["plans_name"].default
    return default if isinstance(default, str) else PLANS_NAME


def planner_class(name: str | None, preset: Preset) -> type:
    """Return the class of a planner, limited to the size of a preset.

    Args:
        name: As for :func:`planner_problem`; None for nnU-Net's default planner.
        preset: Limits of patch and network.

    Raises:
        InputError: As for :func:`find_planner`.
    """
    planner = find_planner(name or DEFAULT_PLANNER)
    return planner if preset.largest_patch is None else _limited(planner, preset.largest_patch, preset.base_features)


def _limited(planner: Any, largest_patch: dict[int, int], base_features: int) -> type:
    """Return a planner with few features and a small patch."""
    import numpy as np

    class SmallPlanner(planner):
        """A planner of nnU-Net with few features and a small patch."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.UNet_base_num_features = base_features
            # The patch is small on purpose, so no configuration of lower resolution is needed to see more.
            self.lowres_creation_threshold = 0

        def get_plans_for_configuration(self, spacing: Any, median_shape: Any, *args: Any) -> dict:
            """Plan a configuration with a bounded patch and the smallest batch."""
            # nnU-Net plans no patch larger than the median image, so a smaller median bounds the patch.
            bounded = np.minimum(median_shape, largest_patch[len(spacing)])
            plan: dict = super().get_plans_for_configuration(spacing, bounded, *args)
            plan["median_image_size_in_voxels"] = median_shape
            plan["batch_size"] = self.UNet_min_batch_size
            return plan

    if planner.__name__ != DEFAULT_PLANNER:
        # The plans record this name.
        SmallPlanner.__name__ = f"{_SMALL}{planner.__name__}"
    return SmallPlanner


def refuse_planner(planner: str, source: str) -> None:
    """Refuse a planner that does not exist, or beside plans that need none.

    Args:
        planner: The planner, as in :func:`nnunet_femur.plan`.
        source: Source of the plans, likewise.

    Raises:
        InputError: Always, unless nnU-Net can plan with it (code "invalid-option").
    """
    plans_exist = source == "totalsegmentator"
    problem = "TotalSegmentator's plans need no planner. Remove it." if plans_exist else planner_problem(planner)
    if problem:
        msg = f"planner: {problem}"
        raise InputError(msg, code="invalid-option")
