"""What is said of a training that made the model worse, and when nothing is said."""

from typing import Any

import pytest

from reparam.training import TrainSettings, ending, unbeaten

NOW = TrainSettings(learning_rate=10.0)


def row(split: str, step: int, distortion: float, rate: float, beta: float = 1.0) -> dict[str, Any]:
    """A row of metrics of a beta-VAE."""
    terms = {"elbo": -distortion - rate, "distortion": distortion, "rate": rate, "loss": distortion + beta * rate}
    return {"split": split, "step": step, **terms}


def rows(*validations: tuple[float, float], trained: tuple[float, float] = (45.0, 0.0), beta: float = 1.0) -> Any:
    """A first step, then validations every hundred steps, each beside a row of training with the same terms."""
    found = [row("train", 1, *trained)]
    for number, (distortion, rate) in enumerate(validations, 1):
        found += [row(split, 100 * number, distortion, rate, beta) for split in ("train", "validation")]
    return found


def test_one_that_diverged_from_its_first_steps_on() -> None:
    """Its first validation was as bad as all later ones."""
    said = ending(rows((9e3, 1e3), (8e3, 1e3), (8e3, 2e3)), "elbo", NOW)
    assert said == (
        "This training made the model worse: the validation ELBO is -1e+04 at its end, and the training ELBO was -45 "
        "at step 1. The weights of step 200 are kept (ELBO -9,000). Train again with a smaller step: "
        "--train.learning_rate 0.002."
    )


def test_one_that_diverged_later() -> None:
    said = ending(rows((30, 5), (25, 5), (40, 500)), "elbo", NOW)
    assert "is -540 at its end, and the validation ELBO was -35 at step 100. The weights of step 200 are kept" in said
    assert said.endswith("Train again with a smaller step: --train.learning_rate 0.002.")


def test_one_that_recovers() -> None:
    """After a resume at a rate that does no harm, which is not to blame for what another did before."""
    said = ending(rows((9e3, 1e3), (9e7, 1e3), (8e4, 1e3)), "elbo", NOW)
    assert said.endswith("It has been getting better since step 200: train afresh with the settings that it has now.")


def test_one_that_was_overfitted() -> None:
    """No smaller step helps where the training split went on improving."""
    metrics = [row("train", 1, 45, 0), row("train", 100, 30, 5), row("validation", 100, 30, 5)]
    metrics += [row("train", 200, 10, 5), row("validation", 200, 38, 5)]
    assert ending(metrics, "elbo", NOW).endswith("so it was overfitted: train for fewer epochs, or on more data.")


@pytest.mark.parametrize(
    ("metrics", "named"),
    [
        (rows((30, 5), (25, 5)), {}),
        (rows((30, 5), (25, 5), (30.5, 5)), {}),  # within what may be noise
        (rows((10, 25), (38, 2), beta=20.0), {}),  # the KL came to weigh more: the ELBO fell, the loss fell too
        (rows((30, 5), (40, 500)), {"judged_by": None}),  # nothing says which are best
        (rows((10, 25), (40, 4)), {"steady": False}),  # a multiplier gave way
        ([], {}),
        ([row("train", 1, 45, 0)], {}),
    ],
)
def test_others_are_left_alone(metrics: Any, named: dict[str, Any]) -> None:
    assert ending(metrics, **({"judged_by": "elbo", "settings": NOW} | named)) == ""


def test_training_values_of_later_steps_are_no_beginning() -> None:
    """They may have had a KL that weighed nothing yet, where only the loss at its final weight compares."""
    metrics = [row("train", 500, 20, 15), *rows((10, 25), (38, 2), beta=20.0)[1:]]
    assert ending(metrics, "elbo", NOW) == ""


def test_older_weights_that_no_later_validation_beat() -> None:
    metrics = rows((30, 5), (25, 5), (28, 5))
    assert unbeaten(metrics, "elbo", 200) == (
        "No validation since step 200 was better: the weights of step 200 are still kept."
    )
    assert unbeaten(metrics, "elbo", 100) == ""
    assert unbeaten(metrics, "elbo", 300) == ""  # nothing came after it
    assert unbeaten(metrics, None, 200) == ""
