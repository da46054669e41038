"""Objectives with a state or with players of their own: they resume bit for bit, and several processes train as one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from reparam.networks import ClassCondition
from reparam.objectives import (
    ELBO,
    AdversarialBound,
    AnyObjective,
    CapacityBound,
    CovarianceBound,
    CriticSettings,
    CVAEGANGame,
    DiscrepancyBound,
    FactorBound,
    FeatureMatchingGame,
    GANGame,
    InfoGANGame,
    IntrospectiveBound,
    Objective,
    PartialImportanceBound,
    RateConstraint,
    ReconstructionConstraint,
    ReconstructionGame,
    RegularizedBound,
    SlicedBound,
    TotalCorrelationBound,
    VAEGANGame,
)
from reparam.rng import reseed
from tests.contracts.members import tiny_data
from tests.training.forked import in_processes
from tests.training.test_processes import same
from tests.training.test_resume import require_equal, run_until, spoil
from tests.training.trained import trainer

L = 2


def factor() -> Objective:
    reseed(0)
    return FactorBound(L, hidden_dims=(6,), warmup=0.3)


def adversarial() -> Objective:
    reseed(0)
    return AdversarialBound(L, hidden_dims=(6,), samples=2)


def game(kind: type, **given: Any) -> Callable[[], AnyObjective]:
    def made() -> AnyObjective:
        reseed(0)
        found: AnyObjective = kind((4,), **given)
        return found

    return made


CRITIC = CriticSettings(hidden_dim=6, penalty_every=2)
OF_LINES = CriticSettings(hidden_dim=6, penalty="interpolated", penalty_every=1, steps=3, rate=0.5)
RESUMED: dict[str, tuple[str, Callable[[], AnyObjective]]] = {
    "factor": ("vae", factor),
    "piwae": ("vae", lambda: PartialImportanceBound(4, 2)),
    "geco": ("vae", lambda: ReconstructionConstraint(tau=0.2, speed=0.1)),
    "spectral": ("rae-sn", lambda: RegularizedBound(regularization="none")),
    "wae-gan": ("wae-gan", adversarial),
    "gan": ("gan", game(GANGame, critic=CRITIC)),
    "wgan": ("wgan", game(GANGame, gan_loss="wasserstein", critic=OF_LINES)),
    "introspective": ("intro-vae", game(IntrospectiveBound, beta_neg=2.0)),
    "cvae-gan": ("cvae-gan", game(CVAEGANGame, critic=CRITIC, condition=ClassCondition(3))),
}


@pytest.mark.parametrize("name", RESUMED)
def test_resumed_at_every_step_is_the_same_run(tmp_path: Path, name: str) -> None:
    recipe, objective = RESUMED[name]
    given: dict[str, Any] = {"recipe": recipe, "epochs": 5, "batch_size": 24, "validations": 2}
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = trainer(tmp_path / "whole", objective=objective(), **given)
    assert whole.run().steps == 5
    for step in range(1, 5):
        part = trainer(tmp_path / "parts", objective=objective(), **given)
        spoil(part) if step > 1 else None
        run_until(part, step, resume=step > 1)
    last = trainer(tmp_path / "parts", objective=objective(), **given)
    spoil(last)
    last.run(resume=True)
    require_equal(last, whole)


SHARED: dict[str, tuple[str, Callable[[], AnyObjective]]] = RESUMED | {
    "adversarial": ("vae", adversarial),
    "vib": ("vae", lambda: RateConstraint(target=0.5, speed=0.1, samples=2)),
    "capacity": ("vae", lambda: CapacityBound(gamma=10.0, capacity=1.0)),
    "beta-tc": ("vae", lambda: TotalCorrelationBound(samples=2)),
    "beta-tc-weighted": ("vae", lambda: TotalCorrelationBound(sampling="weighted")),
    "dip-i": ("vae", CovarianceBound),
    "dip-ii": ("vae", lambda: CovarianceBound(moments="codes", diagonal=10.0)),
    "mmd": ("vae", lambda: DiscrepancyBound(samples=2, alpha=0.5, kernel="rbf")),
    "sliced": ("swae", lambda: SlicedBound(projections=5)),
    "fm-cgan": ("fm-cgan", game(FeatureMatchingGame, critic=CRITIC, condition=ClassCondition(3))),
    "vae-gan": ("vae-gan", game(VAEGANGame, gamma=2.0, critic=CRITIC)),
    "vae-gan-adaptive": ("vae-gan", game(VAEGANGame, gamma="adaptive", critic=CRITIC)),
    "info-gan": ("info-gan", game(InfoGANGame, critic=CRITIC, structure=(10, 1, 2))),
    "tokenizer": ("vae", game(ReconstructionGame, critic=CRITIC, beta=0.5)),
    "groups": ("ml-vae", ELBO),
    "gradient": ("rae-gp", lambda: RegularizedBound(regularization="gradient")),
}


def every_training() -> list[list[dict[str, Any]]]:
    """The rows of a short training of each, in float64."""
    torch.set_default_dtype(torch.float64)
    data = tiny_data("unit", (4,))
    try:
        return [
            trainer(recipe=recipe, data=data, objective=objective(), epochs=2, validations=1).run().metrics
            for recipe, objective in SHARED.values()
        ]
    finally:
        torch.set_default_dtype(torch.float32)


def test_two_processes_train_what_one_would(tmp_path: Path) -> None:
    """What is taken from a batch is taken from all of it, whoever holds its examples."""
    alone = every_training()
    for found in in_processes(2, every_training, tmp_path):
        assert {name: same(*rows) for name, rows in zip(SHARED, zip(alone, found, strict=True), strict=True)} == (
            dict.fromkeys(SHARED, True)
        )
