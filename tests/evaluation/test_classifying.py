"""p(C|x) by Bayes' rule."""

import pytest
import torch

from reparam.data import load_data
from reparam.errors import RefusedError, ShapeError
from reparam.evaluation import classify, evaluate, log_likelihood, split_classes
from reparam.evaluation.classifying import bayes
from reparam.recipes import build
from reparam.rng import reseed
from reparam.runs import train
from tests.contracts.members import seeded_, several_data, tiny_data


def test_bayes() -> None:
    log_p_x = torch.tensor([[0.2, 0.3], [0.5, 0.1]], dtype=torch.float64).log()
    assert bayes(log_p_x).tolist() == [pytest.approx([0.4, 0.6]), pytest.approx([5 / 6, 1 / 6])]
    prior = torch.tensor([0.9, 0.1])
    assert bayes(log_p_x, prior)[0].tolist() == pytest.approx([0.18 / 0.21, 0.03 / 0.21])
    with pytest.raises(ShapeError, match=r"p\(C\) is \(3,\), expected \(2,\)"):
        bayes(log_p_x, torch.ones(3))


def test_examples_and_splits_get_the_same_answers() -> None:
    data = tiny_data("levels", (1, 9, 8))
    reseed(0)
    model = seeded_(build("cvae", data))
    x = data.test.batch(slice(None)).x
    found = classify(model, x, 7)
    assert found.shape == (len(x), 3)
    assert torch.allclose(found.sum(1), torch.ones(len(x), dtype=found.dtype))
    assert torch.equal(split_classes(model, data.test, 7), found)


@pytest.mark.parametrize("recipe", ["hybrid-vae", "mvae"])
def test_a_class_that_is_observed_is_told_by_the_joint_likelihood(recipe: str) -> None:
    data = several_data()
    reseed(0)
    model = seeded_(build(recipe, data))
    x = data.test.batch(slice(None)).x
    place = data.spec.places["labels"]
    found, joint = classify(model, x, 9), []
    for k in range(3):
        told = x.clone()
        told[:, place] = torch.eye(3)[k]
        log_joint = log_likelihood(model, told, samples=9).double()
        joint.append(log_joint)
    assert torch.allclose(found.double(), torch.stack(joint, 1).softmax(1), atol=1e-5)
    hidden = x.clone()
    hidden[:, place] = torch.nan
    assert torch.equal(classify(model, hidden, 9), found)  # the class that is there is not looked at
    assert torch.equal(split_classes(model, data.test, 9), found)


@pytest.mark.unchecked
def test_tells_digits_apart() -> None:
    """A conditional VAE is a generative classifier: a tenth would be chance."""
    data = load_data("digits")
    network = {"kind": "mlp", "hidden_dims": [100]}
    settings = {"train": {"epochs": 20, "tensorboard": False}, "model": {"network": network}}
    run = train("cvae", settings, data=data, device="cpu")
    found = evaluate(run.model, data.test, ["class-accuracy"])
    assert found["class_accuracy"] > 0.85
    assert found["class_accuracy_stderr"] < 0.03


def test_refuses_models_that_are_not_told() -> None:
    data = tiny_data("levels", (1, 9, 8))
    with pytest.raises(RefusedError, match="this model is not told the class"):
        classify(build("vae", data), data.test.batch(slice(None)).x)
