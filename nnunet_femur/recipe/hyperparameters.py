"""Hyperparameters of a training, and how they are stored in nnU-Net's plans.

A configuration in a plans file may contain the values that differ from the defaults::

    "femur_recipe": {
        "epochs": 20,                                    # for every trainer
        "slice": {"slice_size": [64, 64]},               # for the trainers of a family
        "FemurScratchTrainer": {"learning_rate": 0.003}  # for one trainer
    }

A value for a trainer takes precedence over one for its family, and that over one for every trainer. nnU-Net copies its
plans into every checkpoint, so the settings of a run stay with its network.

The models below are the only definition of a recipe: plans, studies, the schema of a study's file and the tables of
docs/recipes.md are checked against them or generated from them. Types are strict: "20" is not a number, "no" is not a
boolean.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from nnunet_femur.errors import InputError
from nnunet_femur.recipe.slice_planes import PLANES, Plane

RECIPE_KEY = "femur_recipe"
"""Key of a configuration in nnU-Net's plans that contains a recipe."""


def _as_tuple(value: Any) -> Any:
    # JSON and YAML have lists, not tuples.
    return tuple(value) if isinstance(value, list) else value


# Type, range and meaning of each hyperparameter; the classes below differ in the defaults.
Epochs = Annotated[int, Field(ge=1, description="Number of epochs.")]

Iterations = Annotated[
    Annotated[int, Field(ge=1)] | None,
    Field(description="Batches per epoch; `null`, for slices: one pass over all slices with femur."),
]

ValidationIterations = Annotated[int, Field(ge=1, description="Batches after each epoch for nnU-Net's pseudo Dice.")]

Optimizer = Annotated[Literal["Adam", "AdamW", "SGD"], Field(description="Optimizer; SGD has Nesterov momentum 0.99.")]

LearningRate = Annotated[float, Field(gt=0, description="Learning rate of the first step.")]

Schedule = Annotated[
    Literal["constant", "poly"],
    Field(
        description="Course of the learning rate; poly: nnU-Net's decay with exponent 0.9, per epoch, for slices "
        "per step."
    ),
]

WeightDecay = Annotated[float, Field(ge=0, description="Weight decay.")]

Loss = Annotated[
    Literal["cross_entropy", "dice_cross_entropy"],
    Field(description="Cross-entropy, or nnU-Net's sum of Dice loss and cross-entropy."),
]

Augment = Annotated[bool, Field(description="nnU-Net's augmentation.")]

Mirror = Annotated[
    bool,
    Field(
        description="Mirroring in augmentation, and at prediction along the axes that augmentation mirrors; without "
        "`augment` nothing is mirrored."
    ),
]

ForegroundFraction = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Share of a batch that is centred on the femur; for slices: that contains femur. 0 for slices "
        "needs `iterations_per_epoch`.",
    ),
]

CheckpointEvery = Annotated[int, Field(ge=1, description="Epochs between checkpoints that `--c` continues from.")]

Keep = Literal["last", "lowest_loss"]
"""Network that a training ends with."""

WarmupEpochs = Annotated[
    int, Field(ge=0, description="Epochs at the beginning in which only the segmentation heads are trained.")
]

# The length of Adam's first steps is the learning rate, however small the gradient is.
RampIterations = Annotated[
    int,
    Field(
        ge=0,
        description="Iterations over which learning rates rise from zero, at the start and after the warm-up; may be "
        "longer than an epoch.",
    ),
]

AverageDecay = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="Decay per iteration of the moving average of the weights, which is then validated, saved and used "
        "for prediction (0.99 to 0.999); 0: no average.",
    ),
]

Choose = Annotated[
    Literal["validation", "last"],
    Field(
        description="Weights that the training ends with. `validation`: the source's, unless weights between source "
        "and last, those of the best epoch, or the last gain enough Dice on whole validation cases; `last`: the last."
    ),
]


class Recipe(BaseModel):
    """Hyperparameters of every trainer; the defaults are nnU-Net's own.

    Example:
        >>> Recipe(epochs=20).learning_rate
        0.01
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    family: ClassVar[str] = "volume"

    epochs: Epochs = 1000
    iterations_per_epoch: Iterations = 250
    validation_iterations: ValidationIterations = 50
    optimizer: Optimizer = "SGD"
    learning_rate: LearningRate = 1e-2
    schedule: Schedule = "poly"
    weight_decay: WeightDecay = 3e-5
    loss: Loss = "dice_cross_entropy"
    augment: Augment = True
    mirror: Mirror = True
    foreground_fraction: ForegroundFraction = 0.33
    half: Annotated[
        bool,
        Field(
            description="`true`: float16 on CUDA as nnU-Net, and slices predicted in bfloat16 on processors that have "
            "it; `false`: float32 everywhere, validation included."
        ),
    ] = True
    checkpoint_every: CheckpointEvery = 50
    seed: Annotated[
        # numpy's largest seed is 2^32 - 1, and the number of the epoch is added.
        Annotated[int, Field(ge=0, lt=2**31)] | None,
        Field(
            description="Seed of all random numbers. A killed and resumed run then equals an undisturbed one (volumes: "
            "with `nnUNet_n_proc_DA=0`); `null`: unseeded."
        ),
    ] = None

    @property
    def decay_exponent(self) -> float:
        """Exponent of the decay of the learning rate: 0.9 for nnU-Net's "poly", 0 for "constant"."""
        return {"poly": 0.9, "constant": 0.0}[self.schedule]

    def as_dict(self) -> dict[str, Any]:
        """Return all hyperparameters, for ``run.json``."""
        return self.model_dump()


class SliceRecipe(Recipe):
    """Hyperparameters of the trainers of two-dimensional networks; the defaults are the study's."""

    family: ClassVar[str] = "slice"

    epochs: Epochs = 5
    iterations_per_epoch: Iterations = None
    validation_iterations: ValidationIterations = 20
    optimizer: Optimizer = "Adam"
    learning_rate: LearningRate = 3e-4
    schedule: Schedule = "constant"
    weight_decay: WeightDecay = 0.0
    loss: Loss = "cross_entropy"
    augment: Augment = False
    mirror: Mirror = False
    foreground_fraction: ForegroundFraction = 1.0
    checkpoint_every: CheckpointEvery = 1
    batch_size: Annotated[int, Field(ge=1, description="Slices in a batch.")] = 16
    slice_size: Annotated[
        tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]],
        BeforeValidator(_as_tuple),
        Field(description="Rows and columns of a training slice in pixels (`2d`: the plans' patch)."),
    ] = (256, 256)
    slice_spacing_mm: Annotated[
        Annotated[float, Field(gt=0)] | Literal["finest", "voxels"],
        Field(
            description="Pixel size in every plane, in mm; `finest`: the shortest edge of a voxel; `voxels`: that of "
            "the voxels (`2d`: nnU-Net's)."
        ),
    ] = "finest"
    neighbours: Annotated[
        int,
        Field(
            ge=0,
            description="Adjacent slices on either side as further channels (`2d`: not used); mirroring "
            "reverses their order.",
        ),
    ] = 0
    planes: Annotated[
        tuple[Plane, ...],
        BeforeValidator(_as_tuple),
        Field(min_length=1, description="Planes to train on and to predict in (`2d`: axial)."),
    ] = PLANES
    plane_weights: Annotated[
        Annotated[tuple[Annotated[float, Field(ge=0)], ...], BeforeValidator(_as_tuple)] | Literal["validation"] | None,
        Field(
            description="Weight of each plane in the prediction of a volume, not all 0; `null`: equal weights; "
            "`validation`: learned from the fold's validation cases at the end of the training."
        ),
    ] = None
    encoder_weights: Annotated[
        Annotated[str, Field(min_length=1)] | None,
        Field(description="Name of the weights that the encoder starts from; `null`: random."),
    ] = "imagenet"
    slices_at_once: Annotated[
        int, Field(ge=1, description="Slices of 256 x 256 pixels predicted together; bounds the memory of prediction.")
    ] = 16
    keep: Annotated[
        Keep,
        Field(description="Network that the training ends with: the last epoch's or that of the lowest training loss."),
    ] = "lowest_loss"
    average_decay: AverageDecay = 0.0
    head_slices: Annotated[
        int,
        Field(ge=1, description="Axial slices at either end of the femur that `FemurHead...Trainer` train on."),
    ] = 20

    @field_validator("plane_weights")
    @classmethod
    def _one_for_each_plane(
        cls, weights: tuple[float, ...] | Literal["validation"] | None, info: ValidationInfo
    ) -> tuple[float, ...] | Literal["validation"] | None:
        planes = info.data.get("planes")
        if weights is None or weights == "validation":
            return weights
        if planes is not None and len(weights) != len(planes):
            msg = f"must have one weight for each of the {len(planes)} planes"
            raise ValueError(msg)
        if not sum(weights) > 0:
            msg = "must not be all 0"
            raise ValueError(msg)
        return weights


class ThreePlaneRecipe(SliceRecipe):
    """This package's own recipe for slices; docs/slice-networks.md lists the gain of each change."""

    learning_rate: LearningRate = 1e-3
    schedule: Schedule = "poly"
    loss: Loss = "dice_cross_entropy"


class FinetuneRecipe(Recipe):
    """Hyperparameters of the fine-tuning trainers; docs/transfer.md has the measurements behind the defaults."""

    family: ClassVar[str] = "finetune"

    epochs: Epochs = 50
    optimizer: Optimizer = "Adam"
    learning_rate: LearningRate = 3e-4
    schedule: Schedule = "poly"
    weight_decay: WeightDecay = 0.0
    checkpoint_every: CheckpointEvery = 5
    # TotalSegmentator's networks were trained without mirroring, and a body has no other mirror image.
    mirror: Annotated[
        bool, Field(description="Exchange of left and right in augmentation; nothing is mirrored at prediction.")
    ] = True
    warmup_epochs: WarmupEpochs = 1
    ramp_iterations: RampIterations = 50
    body_factor: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Learning rate of all layers but the segmentation heads, as a fraction of `learning_rate`.",
        ),
    ] = 1.0
    layer_decay: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Factor of the learning rate from each resolution to the one before it, from the head "
            "backwards.",
        ),
    ] = 1.0
    average_decay: AverageDecay = 0.0
    elastic_fraction: Annotated[
        float, Field(ge=0, le=1, description="Share of the patches that are deformed elastically in augmentation.")
    ] = 0.2
    trained_layers: Annotated[
        Literal["all", "decoder", "adapters"],
        Field(
            description="Layers that are trained besides the segmentation heads: all; those of the decoder; or "
            "low-rank adapters of all convolutions, which are added to their weights in every checkpoint."
        ),
    ] = "all"
    adapter_rank: Annotated[int, Field(ge=1, description="Rank of the adapters of `trained_layers: adapters`.")] = 4
    choose: Choose = "validation"


class FinetunePaperRecipe(FinetuneRecipe):
    """The study's fine-tuning: a new last layer, everything trained from the first step, Adam 3e-4."""

    epochs: Epochs = 20
    schedule: Schedule = "constant"
    warmup_epochs: WarmupEpochs = 0
    ramp_iterations: RampIterations = 0
    choose: Choose = "last"


def refuse(problem: str) -> NoReturn:
    """Refuse the recipe in the plans.

    Args:
        problem: The value and the problem, as a clause.

    Raises:
        InputError: Always (code "invalid-recipe").
    """
    msg = f"{RECIPE_KEY} in the plans: {problem}. Correct the plans, or run nnfemur plan again."
    raise InputError(msg, code="invalid-recipe")
