"""Distances of sets of features: closed forms and toy clouds by hand."""

import pytest
import torch
from torch import Tensor

from reparam.errors import MissingExtraError, RefusedError
from reparam.evaluation import extras
from reparam.evaluation.fidelity import frechet_distance, inception_score_of, kernel_distance, precision_recall

pytest.importorskip("torchmetrics")


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def with_moments(count: int, mean: Tensor, root: Tensor) -> Tensor:
    """Points whose sample mean and covariance are exactly ``mean`` and ``root root^T``."""
    x = torch.randn(count, len(mean), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x - x.mean(0)
    return mean + x @ torch.linalg.inv(torch.linalg.cholesky(x.T.cov())).T @ root.T


def test_fid_of_two_normals_is_the_closed_form() -> None:
    m1, m2 = torch.tensor([0.0, 1, -2]).double(), torch.tensor([1.0, 1, 0]).double()
    s1, s2 = torch.tensor([1.0, 2, 0.5]).double(), torch.tensor([3.0, 0.5, 0.5]).double()
    diagonal = frechet_distance(with_moments(50, m1, s1.diag()), with_moments(70, m2, s2.diag()))
    # float64, covariances of 50 and 70 points that are exact by construction
    assert diagonal == pytest.approx(((m1 - m2).square().sum() + (s1 - s2).square().sum()).item(), abs=1e-8)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).Q
    first, second = turn @ s1.diag(), torch.tensor([[1.0, 0, 0], [2, 1, 0], [0.5, -1, 2]]).double()
    a, b = first @ first.T, second @ second.T
    values, vectors = torch.linalg.eigh(a)
    half = vectors @ values.sqrt().diag() @ vectors.T
    shared = torch.linalg.eigvalsh(half @ b @ half).sqrt().sum()
    expected = (m1 - m2).square().sum() + a.trace() + b.trace() - 2 * shared
    found = frechet_distance(with_moments(50, m1, first), with_moments(70, m2, second))
    assert found == pytest.approx(expected.item(), abs=1e-7)
    same = with_moments(50, m1, second)
    assert frechet_distance(same, same) == pytest.approx(0, abs=1e-7)


def test_kid_by_hand() -> None:
    """Of zeros and ones: k(0, 0) = 1, k(1, 1) = 8, k(0, 1) = 1, so the distance is 1 + 8 - 2."""
    mean, spread = kernel_distance(torch.zeros(20, 1).double(), torch.ones(30, 1).double())
    assert (mean, spread) == pytest.approx((7, 0))


def test_kid_is_unbiased_and_follows_its_seed() -> None:
    draws = torch.Generator().manual_seed(0)
    x, y = (torch.randn(400, 3, generator=draws, dtype=torch.float64) for _ in range(2))
    mean, spread = kernel_distance(x, y)
    assert abs(mean) < 3 * spread
    before = torch.get_rng_state()
    assert kernel_distance(x, y, 1) == kernel_distance(x, y, 1) != kernel_distance(x, y, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_precision_and_recall_by_hand() -> None:
    """Balls of the data reach 1 far: 0.5 lies in one, 10 to 12 do not. That of 0.5 reaches 9.5: all data lie in it."""
    found = precision_recall(column(0, 1, 2, 3), column(0.5, 10, 11, 12), neighbours=1)
    assert found == (0.25, 1.0)
    assert precision_recall(column(0, 1, 2, 3), column(0, 1, 2, 3)) == (1.0, 1.0)
    assert precision_recall(column(0, 1, 2, 3), column(50, 51, 52, 53)) == (0.0, 0.0)


def test_samples_of_one_kind_are_precise_and_recall_little() -> None:
    draws = torch.Generator().manual_seed(0)
    kinds = torch.randn(400, 2, generator=draws, dtype=torch.float64)
    kinds[200:] += 100
    samples = torch.randn(400, 2, generator=draws, dtype=torch.float64)
    precision, recall = precision_recall(kinds, samples)
    assert precision > 0.9
    assert recall == pytest.approx(0.5, abs=0.05)


def test_inception_score_by_hand() -> None:
    sure = 1000 * torch.eye(4, dtype=torch.float64).repeat(500, 1)
    mean, spread = inception_score_of(sure)
    assert mean == pytest.approx(4, abs=0.1)  # ten parts of 200 hold the four classes about equally often
    assert spread < 0.1
    assert inception_score_of(torch.zeros(400, 4).double()) == pytest.approx((1, 0))  # two parts of 200
    assert inception_score_of(torch.zeros(3, 4).double()) == (pytest.approx(1), None)
    few = 1000 * torch.eye(10, dtype=torch.float64).repeat(3, 1)
    assert inception_score_of(few) == (pytest.approx(10), None)  # ten parts of 3 could not exceed 3


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(RefusedError, match="Frechet distance of 1 example"):
        frechet_distance(column(1), column(1, 2))
    with pytest.raises(RefusedError, match="judge at least 4"):
        precision_recall(column(1, 2, 3), column(1, 2, 3, 4))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r'needs torchmetrics.*pip install "reparam\[eval\]"'):
        frechet_distance(column(1, 2), column(1, 2))
