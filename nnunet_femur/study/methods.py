"""A method of a study: a network to train, its full name and its short one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.nnunet_names import FULLRES, PLANS_NAME, model_folder
from nnunet_femur.recipe.trainer_names import TRAINERS

if TYPE_CHECKING:
    from collections.abc import Mapping


FIXED_FOLD = 5
"""The fold that is the study's one split into training and validation cases."""


@dataclass(frozen=True)
class Method:
    """A network to train: one folder of nnU-Net's results.

    Attributes:
        trainer: Class name of the trainer.
        configuration: "2d" or "3d_fullres".
        plans: Name of the plans.
        folds: Folds to train; 0 to 4 cross-validate, 5 is the fixed split.
        recipe: Hyperparameters of this trainer under these plans.

    Example:
        >>> Method("FemurThreePlaneTrainer").name
        'FemurThreePlaneTrainer__nnUNetPlans__3d_fullres'
    """

    trainer: str
    configuration: str = FULLRES
    plans: str = PLANS_NAME
    folds: tuple[int, ...] = (FIXED_FOLD,)
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """nnU-Net's name of the folder."""
        return model_folder(self.trainer, plans_name=self.plans, configuration=self.configuration)

    @property
    def short(self) -> str:
        """Short name: the trainer, with plans and configuration where they are not nnU-Net's usual ones.

        Example:
            >>> Method("FemurFinetuneTrainer", plans="TotalSegmentatorPlans").short
            'FemurFinetune.TotalSegmentatorPlans'
            >>> Method("nnUNetTrainer", "2d").short
            'nnUNet.2d'
        """
        parts = [self.trainer.removesuffix("Trainer") or self.trainer]
        parts += [self.plans] * (self.plans != PLANS_NAME) + [self.configuration] * (self.configuration != FULLRES)
        return ".".join(parts)

    @property
    def ends_only(self) -> bool:
        """True for a network of the ends of the femur, which does not predict whole femurs."""
        return self.trainer in TRAINERS and TRAINERS[self.trainer].ends_only
