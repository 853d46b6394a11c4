"""Hyper-parameters of trainings that start from TotalSegmentator's weights."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from nnunet_femur.training.recipe import (
    CheckpointEvery,
    Epochs,
    LearningRate,
    Optimizer,
    Recipe,
    Schedule,
    WeightDecay,
)

WarmupEpochs = Annotated[
    int, Field(ge=0, description="Epochs at the beginning in which only the segmentation heads are trained.")
]
# Adam's first steps are as long as the learning rate, however small the gradient.
RampIterations = Annotated[
    int,
    Field(
        ge=0,
        description="Iterations over which learning rates rise from zero, at the start and when the body joins; may be "
        "longer than an epoch.",
    ),
]


class FinetuneRecipe(Recipe):
    """Hyper-parameters of the fine-tuning trainers; docs/transfer.md has the measurements behind the defaults."""

    family: ClassVar[str] = "finetune"

    epochs: Epochs = 50
    optimizer: Optimizer = "Adam"
    learning_rate: LearningRate = 3e-4
    schedule: Schedule = "poly"
    weight_decay: WeightDecay = 0.0
    checkpoint_every: CheckpointEvery = 5
    # The source knows no other mirror image of a body.
    mirror: Annotated[
        bool, Field(description="Exchange of left and right in augmentation; nothing is mirrored at prediction.")
    ] = True
    warmup_epochs: WarmupEpochs = 1
    ramp_iterations: RampIterations = 50
    body_factor: Annotated[
        float,
        Field(ge=0, le=1, description="Learning rate of everything but the heads, as a part of `learning_rate`."),
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
    average_decay: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Decay per iteration of the moving average of the weights, which is then validated, saved and "
            "predicted with (0.99 to 0.999); 0: no average.",
        ),
    ] = 0.0
    elastic_fraction: Annotated[
        float, Field(ge=0, le=1, description="Part of the patches that are deformed elastically in augmentation.")
    ] = 0.2


class FinetunePaperRecipe(FinetuneRecipe):
    """The study's fine-tuning: a new last layer, everything trained from the first step, Adam 3e-4."""

    epochs: Epochs = 20
    schedule: Schedule = "constant"
    warmup_epochs: WarmupEpochs = 0
    ramp_iterations: RampIterations = 0
