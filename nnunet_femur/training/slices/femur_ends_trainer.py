"""Trainer of a two-dimensional network on the ends of the femur, which the study calls femur heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from nnunet_femur.errors import InputError, ending_without_traceback
from nnunet_femur.recipe.hyperparameters import refuse
from nnunet_femur.recipe.recipe_rules import problem_of_heads
from nnunet_femur.training.slices.slice_geometry import plane_axes
from nnunet_femur.training.slices.slice_order import SliceTable, slices_of_ends
from nnunet_femur.training.slices.slice_trainer import SliceTrainer

if TYPE_CHECKING:
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    from nnunet_femur.recipe.hyperparameters import Plane, Recipe, SliceRecipe


class FemurEndsTrainer(SliceTrainer):
    """Trainer on the first and the last axial slices with femur of each case, by default 20 at either end.

    They are counted on the CT's own grid, as in the study. If preprocessing changes the slice spacing, the same length
    of bone is used.

    Only a reference mask shows the position of the ends, so every axial slice is predicted. Scores are those of the
    region ``ends``: the first and the last 20 axial slices with femur in the reference mask.
    """

    ends_only = True

    @property
    def needs_axes(self) -> bool:
        """True, since the ends are axial slices under every configuration."""
        return True

    @classmethod
    def check_recipe(cls, recipe: Recipe, labels: LabelManager) -> None:
        """Refuse, besides what every trainer refuses, a recipe whose batches contain no slices of the ends.

        Raises:
            InputError: The recipe is invalid (code "invalid-recipe"), or the labels are not supported (code
                "unsupported").
        """
        super().check_recipe(recipe, labels)
        problem = problem_of_heads(cast("SliceRecipe", recipe))
        if problem is not None:
            refuse(problem)

    @classmethod
    def planes(cls, recipe: SliceRecipe) -> tuple[Plane, ...]:  # noqa: ARG003
        """Return the axial plane; the recipe's planes are those of the other slice trainers."""
        return ("axial",)

    @classmethod
    def plane_weights(cls, recipe: SliceRecipe) -> tuple[float, ...] | None:  # noqa: ARG003
        """Return None, since there is one plane."""
        return None

    def find_training_slices(self, data: nnUNetBaseDataset, axes: tuple[int, ...]) -> SliceTable:
        """Return the axial slices at both ends of the femur of each case."""
        with ending_without_traceback():
            axis = self._axial_axis()
        spacing_mm = self.configuration_manager.spacing
        number = self.slice_recipe.head_slices
        counts = []
        for case in data.identifiers:
            # nnU-Net records the CT's own spacing, before it transposes axes.
            original_mm = data.load_case(case)[3]["spacing"][0]
            # Configuration 2d does not change the slice spacing.
            resampled_mm = spacing_mm[axis] if len(spacing_mm) == 3 else original_mm
            counts.append(slices_at_each_end(number, original_mm=original_mm, resampled_mm=resampled_mm))
        return slices_of_ends(super().find_training_slices(data, axes), counts)

    def _axial_axis(self) -> int:
        """Return the axis that axial slices are across.

        Raises:
            InputError: The slices of configuration ``2d`` are not axial (code "invalid-option").
        """
        axis = plane_axes(("axial",), self.plans_manager)[0]
        if len(self.configuration_manager.patch_size) == 2 and axis != 0:
            msg = (
                f"{self.plans_manager.dataset_name}: the slices of configuration 2d are not axial in these plans, "
                "since the spacing is largest along another axis. Train with configuration 3d_fullres."
            )
            raise InputError(msg, code="invalid-option")
        return axis


def slices_at_each_end(number: int, *, original_mm: float, resampled_mm: float) -> int:
    """Return the number of preprocessed slices, at least 1, that cover the same length as slices of a CT.

    Args:
        number: Number of slices of the CT.
        original_mm: Spacing of the CT's axial slices in mm.
        resampled_mm: Spacing of the preprocessed slices in mm.

    Example:
        >>> slices_at_each_end(20, original_mm=2.0, resampled_mm=1.5)
        27
    """
    return max(1, round(number * original_mm / resampled_mm))
