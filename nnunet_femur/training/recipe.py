"""Hyper-parameters of a training, and how they travel in nnU-Net's plans.

A plans file may hold, in a configuration, what differs from the defaults::

    "femur_recipe": {
        "epochs": 20,                                    # for every trainer
        "slice": {"slice_size": [64, 64]},               # for the trainers of a family
        "FemurScratchTrainer": {"learning_rate": 0.003}  # for one trainer
    }

The nearest wins. Since nnU-Net copies its plans into every checkpoint, a run's settings stay with its network.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

RECIPE_KEY = "femur_recipe"
"""The key of a configuration in nnU-Net's plans under which a recipe stands."""

Optimizer = Literal["Adam", "AdamW", "SGD"]
Schedule = Literal["constant", "poly"]
Loss = Literal["cross_entropy", "dice_cross_entropy"]
Plane = Literal["axial", "coronal", "sagittal"]
Keep = Literal["last", "lowest_loss"]

PLANES: tuple[Plane, ...] = get_args(Plane)
"""The planes across the array axes z, y, x of a volume in RAS order."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every trainer can be told; the defaults are nnU-Net's own.

    Attributes:
        epochs: Number of epochs.
        iterations_per_epoch: Batches in an epoch; None lets the trainer decide.
        validation_iterations: Batches after each epoch that nnU-Net's pseudo Dice is taken from.
        optimizer: Adam, AdamW or SGD (Nesterov momentum 0.99).
        learning_rate: The learning rate of the first step.
        schedule: "poly" is nnU-Net's decay to zero with exponent 0.9.
        weight_decay: Weight decay.
        loss: Cross-entropy, or nnU-Net's sum of Dice loss and cross-entropy.
        augment: Whether nnU-Net's augmentation is applied.
        mirror: Whether images are mirrored in augmentation and at prediction (2 or 3 axes: 4 or 8 passes).
        foreground_fraction: Fraction of a batch that is centred on the femur, 0 to 1.
        half: Compute in half precision where nnU-Net does (float16 on CUDA), and predict slices in bfloat16 on
            processors with instructions for it; False for float32 everywhere, validation included.
        checkpoint_every: Epochs between two checkpoints that ``--c`` can go on from.
        seed: Seed of every epoch where data is loaded in the main process (``nnUNet_n_proc_DA=0``); None for chance.
    """

    family: ClassVar[str] = "volume"

    epochs: int = 1000
    iterations_per_epoch: int | None = 250
    validation_iterations: int = 50
    optimizer: Optimizer = "SGD"
    learning_rate: float = 1e-2
    schedule: Schedule = "poly"
    weight_decay: float = 3e-5
    loss: Loss = "dice_cross_entropy"
    augment: bool = True
    mirror: bool = True
    foreground_fraction: float = 0.33
    half: bool = True
    checkpoint_every: int = 50
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that would only fail, or silently misbehave, once the training runs."""
        for name in ("epochs", "iterations_per_epoch", "validation_iterations", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                refuse(f"{name} is {value}, but must be at least 1")
        if not 0 <= self.foreground_fraction <= 1:
            refuse(f"foreground_fraction is {self.foreground_fraction}, but lies between 0 and 1")
        if not self.learning_rate > 0:
            refuse(f"learning_rate is {self.learning_rate}, but must be positive")
        for name, choices in (("optimizer", Optimizer), ("schedule", Schedule), ("loss", Loss)):
            if getattr(self, name) not in get_args(choices):
                refuse(f"{name} is {getattr(self, name)!r}, but must be one of {', '.join(get_args(choices))}")

    @property
    def decay_exponent(self) -> float:
        """Exponent of the learning rate's decay: 0.9 is nnU-Net's, 0 none."""
        return {"poly": 0.9, "constant": 0.0}[self.schedule]

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any], trainer: str) -> Recipe:
        """The recipe of a trainer under a configuration of nnU-Net's plans.

        Args:
            configuration: The configuration, its inheritance resolved.
            trainer: The class name of the trainer.

        Raises:
            InputError: The plans name a hyper-parameter that does not exist, or a value that cannot be.
        """
        written: Mapping[str, Any] = configuration.get(RECIPE_KEY, {})
        shared = {key: value for key, value in written.items() if not isinstance(value, dict)}
        chosen = {**shared, **written.get(cls.family, {}), **written.get(trainer, {})}
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(chosen) - known)
        if unknown:
            refuse(f"{trainer} does not know {', '.join(unknown)}; it knows {', '.join(sorted(known))}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in chosen.items()}
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """All hyper-parameters, for ``run.json``."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class SliceRecipe(Recipe):
    """What the trainers of two-dimensional networks can be told; the defaults are the study's.

    Attributes:
        iterations_per_epoch: Batches in an epoch; None for as many as hold every slice with femur once.
        batch_size: Slices in a batch.
        slice_size: Rows and columns of a training slice in pixels.
        slice_spacing_mm: Edge of a pixel in mm, in every plane, of configurations of volumes; "finest": that of the
            preprocessed data's finest axis; "voxels": pixels are the voxels, square or not.
        neighbours: Slices on either side that a slice is seen with, as further channels (0 or more).
        planes: The planes that slices are drawn from, and that a volume is predicted in.
        plane_weights: What each of these planes counts in a volume's prediction; None for all the same.
        encoder_weights: Name of the weights that the encoder starts from; None for random ones.
        slices_at_once: Slices that go through the network together at prediction; bounds its memory.
        keep: Which network the training ends with: that of its last epoch or that of its lowest training loss.
        head_slices: Axial slices at either end of the femur, on the CT's own grid, that the trainers of heads train on.
    """

    family: ClassVar[str] = "slice"

    epochs: int = 5
    iterations_per_epoch: int | None = None
    validation_iterations: int = 20
    optimizer: Optimizer = "Adam"
    learning_rate: float = 3e-4
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    loss: Loss = "cross_entropy"
    augment: bool = False
    mirror: bool = False
    foreground_fraction: float = 1.0
    checkpoint_every: int = 1
    batch_size: int = 16
    slice_size: tuple[int, int] = (256, 256)
    slice_spacing_mm: float | Literal["finest", "voxels"] = "finest"
    neighbours: int = 0
    planes: tuple[Plane, ...] = PLANES
    plane_weights: tuple[float, ...] | None = None
    encoder_weights: str | None = "imagenet"
    slices_at_once: int = 16
    keep: Keep = "lowest_loss"
    head_slices: int = 20

    def __post_init__(self) -> None:
        """Refuse values that would only fail, or silently misbehave, once the training runs."""
        super().__post_init__()
        for name in ("batch_size", "slices_at_once", "head_slices"):
            if getattr(self, name) < 1:
                refuse(f"{name} is {getattr(self, name)}, but must be at least 1")
        weights = self.plane_weights
        if weights is not None and (len(weights) != len(self.planes) or min(weights) < 0 or not sum(weights) > 0):
            refuse(f"plane_weights is {weights}, but must be one number for each plane, none negative, not all 0")
        if self.neighbours < 0:
            refuse(f"neighbours is {self.neighbours}, but must be at least 0")
        edge = self.slice_spacing_mm
        if not (edge > 0 if isinstance(edge, (int, float)) else edge in ("finest", "voxels")):
            refuse(f"slice_spacing_mm is {edge!r}, but must be positive or one of finest, voxels")
        if self.keep not in get_args(Keep):
            refuse(f"keep is {self.keep!r}, but must be one of {', '.join(get_args(Keep))}")
        if len(self.slice_size) != 2 or min(self.slice_size) < 1:
            refuse(f"slice_size is {self.slice_size}, but must be two positive numbers, rows and columns")
        if not self.planes or not set(self.planes) <= set(PLANES):
            refuse(f"planes is {self.planes}, but must be some of {', '.join(PLANES)}")


@dataclass(frozen=True, kw_only=True)
class ThreePlaneRecipe(SliceRecipe):
    """What differs from the study's recipe in ours; docs/slice-networks.md says what each change gains."""

    learning_rate: float = 1e-3
    schedule: Schedule = "poly"
    loss: Loss = "dice_cross_entropy"


def refuse(problem: str) -> None:
    """Stop because of a value in the plans' recipe.

    Raises:
        InputError: Always.
    """
    msg = f"{RECIPE_KEY} in the plans: {problem}. Correct the plans, or run nnfemur plan again."
    raise InputError(msg)
