"""How much of a codebook is used, by hand."""

import math

import pytest
import torch

from reparam.distributions import Codebook, CodePoint
from reparam.evaluation import evaluate
from reparam.evaluation.code_use import CodeUse
from reparam.recipes import build
from tests.contracts.members import tiny_data


def chosen(indices: list[list[int]], codes: int, stages: int = 1) -> CodePoint:
    numbers = torch.tensor(indices)
    grid = (numbers.shape[1] // stages, *([stages] if stages > 1 else []))
    book = Codebook(grid, codes, lambda i: i.float(), None if stages > 1 else lambda z: z.long())
    return CodePoint(numbers.float(), numbers, book)


def test_by_hand() -> None:
    use = CodeUse()
    use.add(chosen([[0, 0], [0, 0]], 4))
    use.add(chosen([[1, 1], [2, 2]], 4))
    found = use.result()
    assert found["code_use"] == 0.75
    shares = [0.5, 0.25, 0.25]
    assert found["code_perplexity"] == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)))
    assert found["code_bits"] == 2 * 2


def test_each_table_of_a_residual_is_counted_by_itself() -> None:
    use = CodeUse()
    use.add(chosen([[0, 1, 0, 0], [0, 1, 0, 0]], 2, stages=2))
    # the first table uses 0 alone; the second 1 and 0 equally
    assert use.result() == {"code_use": 0.75, "code_perplexity": pytest.approx(1.5), "code_bits": 4.0}


def test_in_the_evaluation_of_a_model_with_codes_alone() -> None:
    data = tiny_data("unit", (4,))
    found = evaluate(build("fsq-vae", data), data.test, ("elbo",))
    assert 0 < found["code_use"] <= 1
    assert 1 <= found["code_perplexity"] <= 240
    assert found["code_bits"] == pytest.approx(4 * math.log2(240))
    assert found["rate"] > 0
    assert "code_use" not in evaluate(build("vae", data), data.test, ("elbo",))
