"""The model without an encoder: its codes are searched for."""

from functools import partial

import pytest
import torch
from torch import nn

from reparam.errors import PartError, RefusedError
from reparam.evaluation import evaluate, log_likelihood
from reparam.latents import inverted
from reparam.likelihoods import NormalLikelihood
from reparam.models import ImplicitModel
from reparam.networks import ClassCondition, ConditionalDecoder, Decoder, MLPDecoder, VectorCondition
from reparam.priors import NormalPrior, VampPrior
from reparam.recipes import build
from reparam.report.figures import draw_sections
from reparam.report.subject import look_at
from reparam.rng import reseed
from tests.contracts.members import tiny_data


class Linear(Decoder):
    """x = W z."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__(weight.shape[1], (weight.shape[0],))
        self.weight = nn.Parameter(weight)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z @ self.weight.T


def linear() -> ImplicitModel:
    reseed(0)
    weight = torch.tensor([[1.0, 0.2], [0.0, 1.0], [0.5, -0.5], [0.3, 0.3]])
    return ImplicitModel(NormalPrior(2), Linear(weight), NormalLikelihood((4,), 0.3)).eval()


def test_the_code_is_the_mode_of_the_posterior() -> None:
    """Of a linear model with Normal noise it is known: (W^T W + sigma^2)^-1 W^T x."""
    model, x = linear(), torch.randn(9, 4)
    weight = next(iter(model.decoder.parameters())).detach()
    wanted = torch.linalg.solve(weight.T @ weight + 0.09 * torch.eye(2), weight.T @ x.T).T
    # a hundred steps of Adam whose rate falls from 0.1
    assert torch.allclose(model.encode(x), wanted, atol=2e-2)
    assert torch.allclose(model.reconstruct(x), wanted @ weight.T, atol=2e-2)


def test_an_item_has_the_same_code_alone_and_in_any_batch() -> None:
    model, x = linear(), torch.randn(11, 4)
    whole = model.encode(x)
    assert torch.allclose(model.encode(x[3]), whole[3], atol=1e-6)
    assert torch.allclose(model.encode(x[2:6]), whole[2:6], atol=1e-6)
    assert model.encode(x[:0]).shape == (0, 2)


def test_searching_leaves_no_trace() -> None:
    """No gradient in the weights, and the caller's generator as it was."""
    model, x = linear(), torch.randn(2, 4)
    before = torch.get_rng_state()
    model.encode(x)
    assert torch.equal(before, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_class_is_told_of_each_item() -> None:
    reseed(0)
    decoder = ConditionalDecoder(MLPDecoder(5, (4,), (6,)), 3)
    model = ImplicitModel(NormalPrior(2), decoder, NormalLikelihood((4,), 0.3), ClassCondition(3)).eval()
    x, labels = torch.randn(4, 4), torch.tensor([0, 1, 2, 0])
    whole = model.encode(x, labels=labels)
    assert torch.allclose(model.encode(x[1], labels=torch.tensor(1)), whole[1], atol=1e-5)
    assert torch.allclose(model.given(labels=2).encode(x[2]), whole[2], atol=1e-5)
    with pytest.raises(RefusedError, match="must be told 'labels'"):
        model.encode(x)


def test_numbers_told_of_all_items_are_not_those_of_each() -> None:
    """As many items as numbers that describe them all."""
    reseed(0)
    decoder = ConditionalDecoder(MLPDecoder(5, (4,), (6,)), 3)
    model = ImplicitModel(NormalPrior(2), decoder, NormalLikelihood((4,), 0.3), VectorCondition(3)).eval()
    x, told = torch.randn(3, 4), torch.tensor([1.0, -2.0, 0.5])
    of_all, of_each = model.given(attributes=told).encode(x), model.encode(x, attributes=told.repeat(3, 1))
    assert torch.allclose(of_all, of_each, atol=1e-5)


def test_there_is_no_density() -> None:
    data, model = tiny_data("real", (4,)), linear()
    with pytest.raises(RefusedError):
        log_likelihood(model, data.test.batch(slice(None)).x)
    found = evaluate(model, data.test, ["nll", "reconstruction"], samples=2)
    assert "nll_refused" in found
    assert found["mse"] > 0
    assert list(model.inference_parameters()) == []


def test_refuses_a_prior_made_of_codes() -> None:
    with pytest.raises(PartError, match="VampPrior is made from codes of examples"):
        ImplicitModel(VampPrior(2, (4,), 3), Linear(torch.ones(4, 2)), NormalLikelihood((4,)))


@pytest.mark.usefixtures("sketched")
def test_a_structured_code_is_shown_class_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reparam.models.implicit.inverted", partial(inverted, steps=2))
    data = tiny_data("unit", (1, 4, 4))
    subject = look_at(build("info-gan", data).eval(), data, {})
    sections = {section.name: section for section in draw_sections(subject, [])}
    assert [figure.name for figure in sections["traversals"].figures] == ["choices", "traversals"]
    assert subject.order[:12] == [10, 11, *range(10)]  # the numbers, then the classes, then noise


def test_a_search_keeps_to_the_codes_that_there_are() -> None:
    """One class of each choice, and numbers in their range."""
    x = torch.rand(5, 4)
    z = build("info-gan", x).eval().encode(x)
    assert (z[:, :10].amax(1) == 1).all()
    assert (z[:, :10].sum(1) == 1).all()
    assert (z[:, 10:12].abs() <= 1).all()
