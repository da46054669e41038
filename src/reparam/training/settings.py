"""The settings of a training, checked where they are read from a file (see config.py)."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from reparam.reading import switched

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Switch = Annotated[Literal["auto", "on", "off"], BeforeValidator(switched)]

# What a run may change where it goes on, because a checkpoint means the same under any value. The order of its data,
# its moments and averages and the ELBO to beat were made with the others.
CHANGEABLE = (
    "learning_rate",
    "clip",
    "weight_decay",
    "skip_nonfinite",
    "patience",
    "checkpoint_seconds",
    "precision",
    "compile",
    "shard",
    "tensorboard",
)


@dataclass(frozen=True)
class TrainSettings:
    """How to train.

    Attributes:
        batch_size: Examples per step.
        group_size: Members of a group (or of a class) that stand side by side in batches, where there are so many; 1
            shuffles the examples alone.
        epochs: Passes over the training split; None leaves it to ``max_minutes`` or to the recipe.
        max_minutes: Wall-clock budget. The number of steps that fit is measured once, before the first step, and fixed
            for the run, so that schedules follow steps.
        learning_rate: Peak learning rate.
        optimizer: ``adam``, ``adamw``, ``adamax``, ``rmsprop`` or ``sgd``.
        betas: Decays of the first and second moments; ``rmsprop`` has the second alone, ``sgd`` the first, its
            momentum.
        weight_decay: Decoupled for adamw, a part of the gradient for the others.
        schedule: ``constant``, ``cosine`` (to zero at the last step) or ``plateau`` (halved when validation stalls).
        learning_rate_warmup: Share of the steps over which the learning rate rises from 0.
        plateau_patience: Validations without a better ELBO before ``plateau`` halves the learning rate.
        clip: Largest norm of the gradient of one player; None for no clipping.
        ema: Decay of the averaged weights that are validated and saved; 0 for none.
        patience: Validations without a better ELBO before training stops; None for never.
        validations: How often to validate during the whole training.
        validation_limit: Examples in a seeded random subset of the validation split.
        skip_nonfinite: How many steps with a loss or a gradient that is not finite may be left out before training
            stops; metrics count them as ``skipped``.
        checkpoint_seconds: Seconds from one checkpoint to the next; one is written at the end and when stopped, too.
        precision: ``float32``, or mixed ``bfloat16`` or ``float16``.
        compile: Run encoder and decoder as compiled graphs: ``on``, ``off``, or ``auto`` (long trainings on a GPU).
        shard: Share out weights, moments and averages over the processes (FSDP2) instead of keeping them whole in each:
            for models whose training one device cannot hold.
        tensorboard: Also write TensorBoard files, where it is installed.
    """

    batch_size: Count = 128
    group_size: Count = 1
    epochs: Count | None = None
    max_minutes: Positive | None = None
    learning_rate: Positive = 2e-3
    optimizer: Literal["adam", "adamw", "adamax", "rmsprop", "sgd"] = "adam"
    betas: tuple[Beta, Beta] = (0.9, 0.99)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine", "plateau"] = "cosine"
    learning_rate_warmup: Share = 0.02
    plateau_patience: Count = 3
    clip: Positive | None = 200.0
    ema: Beta = 0.999
    patience: Count | None = None
    validations: Count = 20
    validation_limit: Count = 2000
    skip_nonfinite: Annotated[int, Field(ge=0)] = 0
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 60.0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    compile: Switch = "auto"
    shard: bool = False
    tensorboard: bool = True
