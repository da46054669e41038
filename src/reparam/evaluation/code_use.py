"""How much of a codebook the data use."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution


class CodeUse:
    r"""Counts the codes that examples choose; of a q that is made of no codes, nothing.

    .. math:: \text{use} = \frac{|\{k : n_k > 0\}|}{C}, \qquad
              \text{perplexity} = \exp \Bigl(-\sum_k \frac{n_k}{n} \log \frac{n_k}{n}\Bigr)

    Of several tables (stages of a residual quantiser), which lie behind the grid of positions, both are means.
    """

    def __init__(self) -> None:
        self.counts: Float[Tensor, "S C"] | None = None
        self.bits = 0.0

    def add(self, q: Distribution) -> None:
        """Takes the codes of a batch into account."""
        codebook = getattr(q, "codebook", None)
        if codebook is None:
            return
        stages = 1 if codebook.indices is not None else codebook.grid[-1]
        rows = q.indices.reshape(-1, stages)  # type: ignore[attr-defined]
        counts = torch.stack([torch.bincount(row, minlength=codebook.codes) for row in rows.T]).double()
        self.counts = counts if self.counts is None else self.counts + counts
        self.bits = codebook.choices * math.log2(codebook.codes)

    def result(self) -> dict[str, Any]:
        """``code_use``, ``code_perplexity``, and ``code_bits`` of one example where all codes have the same length."""
        if self.counts is None:
            return {}
        shares = self.counts / self.counts.sum(-1, keepdim=True)
        perplexity = torch.special.entr(shares).sum(-1).exp().mean().item()
        used = self.counts.gt(0).double().mean().item()
        return {"code_use": used, "code_perplexity": perplexity, "code_bits": self.bits}
