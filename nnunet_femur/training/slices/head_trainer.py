"""Trains a two-dimensional network on the ends of the femur, as the study did for the femoral heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from nnunet_femur.errors import InputError, ending_without_traceback
from nnunet_femur.recipe.hyperparameters import refuse
from nnunet_femur.recipe.recipe_rules import problem_of_heads
from nnunet_femur.training.slices.slice_geometry import plane_axes
from nnunet_femur.training.slices.slice_order import SliceTable, ends_only
from nnunet_femur.training.slices.slice_trainer import SliceTrainer

if TYPE_CHECKING:
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    from nnunet_femur.recipe.hyperparameters import Plane, Recipe, SliceRecipe


class HeadTrainer(SliceTrainer):
    """Trains on the first and the last axial slices that hold femur, 20 at either end of each case.

    They are counted on the CT's own grid, as the study does: where preprocessing changes the distance of slices, the
    same stretch of bone is taken.

    Only a reference mask shows where the ends are, so at prediction every axial slice is predicted; scored is the
    region ``ends``, the first and the last 20 axial slices with femur in the reference mask.
    """

    ends_only = True

    @property
    def needs_axes(self) -> bool:
        """True: the ends are axial slices with configuration ``2d`` too."""
        return True

    @classmethod
    def check_recipe(cls, recipe: Recipe, labels: LabelManager) -> None:
        """Refuse also a recipe without slices of the ends.

        Raises:
            InputError: With the reason.
        """
        super().check_recipe(recipe, labels)
        problem = problem_of_heads(cast("SliceRecipe", recipe))
        if problem is not None:
            refuse(problem)

    @classmethod
    def planes(cls, recipe: SliceRecipe) -> tuple[Plane, ...]:  # noqa: ARG003
        """Axial, whatever the recipe of the other slice trainers says."""
        return ("axial",)

    @classmethod
    def plane_weights(cls, recipe: SliceRecipe) -> tuple[float, ...] | None:  # noqa: ARG003
        """None: there is one plane."""
        return None

    def find_training_slices(self, data: nnUNetBaseDataset, axes: tuple[int, ...]) -> SliceTable:
        """The axial slices at both ends of the femur of each case."""
        with ending_without_traceback():
            axis = self._axial_axis()
        spacing_mm = self.configuration_manager.spacing
        number = self.slice_recipe.head_slices
        counts = []
        for case in data.identifiers:
            # nnU-Net notes the CT's own spacing before it puts another axis first.
            own_mm = data.load_case(case)[3]["spacing"][0]
            # Configuration 2d leaves the distance of slices as it is.
            distance_mm = spacing_mm[axis] if len(spacing_mm) == 3 else own_mm
            counts.append(slices_at_each_end(number, own_mm=own_mm, distance_mm=distance_mm))
        return ends_only(super().find_training_slices(data, axes), counts)

    def _axial_axis(self) -> int:
        """The axis that axial slices lie across.

        Raises:
            InputError: The slices of configuration ``2d`` are no axial ones.
        """
        axis = plane_axes(("axial",), self.plans_manager)[0]
        if len(self.configuration_manager.patch_size) == 2 and axis != 0:
            msg = (
                f"{self.plans_manager.dataset_name}: the slices of configuration 2d are not axial in these plans, "
                "since voxels are coarsest along another axis. Train with configuration 3d_fullres."
            )
            raise InputError(msg)
        return axis


def slices_at_each_end(number: int, *, own_mm: float, distance_mm: float) -> int:
    """How many slices of a preprocessed case cover the same stretch as `number` of its CT, at least one.

    Args:
        number: Slices of the CT.
        own_mm: Distance of the CT's axial slices in mm.
        distance_mm: Distance of the preprocessed slices in mm.
    """
    return max(1, round(number * own_mm / distance_mm))
