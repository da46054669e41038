"""Vector quantisation: a table of codes that follows the data, and several tables one after the other."""

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import PartError, RefusedError, nearest
from reparam.networks.quantisers import Quantised, Quantiser, squared_distance, straight_through
from reparam.processes import current

Metric = Literal["euclidean", "cosine"]
STRIDES = (7919, 104_729)  # primes: from code to code, and from batch to batch
KMEANS_STEPS = 10
KMEANS_VECTORS = 64  # for each code, at most
KMEANS_DISTANCES = 1 << 23  # at a time, about


class VectorQuantiser(Quantiser):
    r"""Takes the nearest code of a table.

    .. math:: z = e_k, \qquad k = \operatorname{argmin}_j \|h - e_j\|

    With a decay, the table is a running average of what chose each code, read from the batch in training:

    .. math:: N_j \leftarrow \gamma N_j + (1 - \gamma) \frac{n_j}{\bar n}, \qquad
              m_j \leftarrow \gamma m_j + (1 - \gamma) \frac{1}{\bar n} \sum_{i: k_i = j} h_i, \qquad e_j = m_j / N_j

    Uses are counted in units of an equal use, :math:`\bar n`, so that the first batch weighs no more than the
    beginning.
    The averages of one look become the table at the next one, so that a code means the same to all parts of a model
    during a step. A code that is hardly chosen any more is moved to some h of the batch, whose order
    is random already: nothing is drawn. Without a decay, the table is a parameter and follows its gradient, and no code
    is moved.

    Args:
        code_dim: Numbers of a code, D.
        codes: Number of codes, C.
        commitment: Weight beta of :math:`\|h - \mathrm{sg}(e)\|^2`, which holds h near its code.
        decay: gamma; None for a table that learns by gradient, from :math:`\|\mathrm{sg}(h) - e\|^2`.
        metric: ``euclidean``, or ``cosine``: h and the codes have length 1.
        revive: A code is moved when it is chosen less often than this share of an equal use; 0 for never.
    Raises:
        PartError: if a number makes no sense, or the metric is unknown.
    Source:
        Neural discrete representation learning (van den Oord et al., 2017), arXiv:1711.00937, eqs. 1 to 3 and
        appendix A.1; the beginning by k-means: SoundStream (Zeghidour et al., 2021), arXiv:2107.03312, section 3.3;
        cosine: Vector-quantized image modeling with improved VQGAN (Yu et al., 2022), arXiv:2110.04627,
        section 3.2; moved codes: Jukebox (Dhariwal et al., 2020), arXiv:2005.00341, section 3.1, where the bound is a
        number of uses and the h is drawn.
    """

    table: Tensor
    totals: Tensor
    counts: Tensor
    looks: Tensor
    started: Tensor

    def __init__(
        self,
        code_dim: int,
        codes: int = 256,
        commitment: float = 0.25,
        decay: float | None = 0.99,
        metric: Metric = "euclidean",
        revive: float = 0.02,
    ) -> None:
        super().__init__(code_dim, codes)
        owner = type(self).__name__
        if metric not in get_args(Metric):
            raise PartError(f"{owner}: metric is {metric!r}. {nearest(metric, get_args(Metric))}")
        if not (commitment >= 0 and 0 <= revive < 1 and (decay is None or 0 <= decay < 1)):
            raise PartError(
                f"{owner}: commitment {commitment}, decay {decay}, revive {revive}; expected a weight of 0 or more and "
                "shares from 0 to below 1 (or no decay)."
            )
        self.commitment, self.decay, self.metric, self.revive = commitment, decay, metric, revive
        self.register_buffer("started", torch.zeros((), dtype=torch.long))
        table = self._placed(torch.randn(codes, code_dim))
        if decay is None:
            self.table = nn.Parameter(table)
        else:
            self.register_buffer("table", table)
            self.register_buffer("totals", table.clone())
            self.register_buffer("counts", torch.ones(codes))
            self.register_buffer("looks", torch.zeros((), dtype=torch.long))

    @property
    def starts(self) -> bool:  # type: ignore[override]
        """True until it has begun."""
        return not self.started

    def forward(self, h: Float[Tensor, "*B M D"]) -> Quantised:
        h = self._placed(h)
        learns = self.decay is not None and self.training and torch.is_grad_enabled()
        with torch.no_grad(), torch.autocast(h.device.type, enabled=False):
            if learns:
                self.table.copy_(self._average())
            indices = self.indices(h)
            if learns:
                self._look(h.reshape(-1, self.code_dim), indices.reshape(-1))
        indices = indices.unsqueeze(-1)
        codes = self.vectors(indices)
        penalty = self.commitment * squared_distance(h, codes.detach())
        if self.decay is None:
            penalty = penalty + squared_distance(codes, h.detach())
        return Quantised(straight_through(codes, h), indices, penalty)

    def vectors(self, indices: Int[Tensor, "*B M S"]) -> Float[Tensor, "*B M D"]:
        return F.embedding(indices.squeeze(-1), self._placed(self.table))

    def indices(self, z: Float[Tensor, "*B M D"]) -> Int[Tensor, "*B M"]:
        return self.nearest(self._placed(z).reshape(-1, self.code_dim)).reshape(z.shape[:-1])

    def nearest(self, h: Float[Tensor, "N D"]) -> Int[Tensor, " N"]:
        """The number of the nearest code; of two equal ones, the first."""
        table = self._placed(self.table)
        middle = table.mean(0)  # far from it, differences would be lost in rounding
        h, table = h - middle, table - middle
        return torch.addmm(table.square().sum(-1), h, table.T, alpha=-2).argmin(-1)

    def _placed(self, vectors: Tensor) -> Tensor:
        return vectors if self.metric == "euclidean" else F.normalize(vectors, dim=-1)

    def _average(self) -> Tensor:
        """What chose each code, on average; the code itself where nothing did for long."""
        used = self.counts.unsqueeze(-1) > torch.finfo(self.counts.dtype).eps
        return self._placed(torch.where(used, self.totals / self.counts.unsqueeze(-1), self.table))

    def _look(self, h: Float[Tensor, "N D"], chosen: Int[Tensor, " N"]) -> None:
        """Takes a batch into the averages, the whole of it where several processes share it."""
        assert self.decay is not None
        hits = self._hits(h, chosen)
        seen = torch.cat([hits.sum(0).unsqueeze(-1), hits.T @ h, self._some_rows(h)], -1)
        seen = current().total(seen)
        sound = seen.isfinite().all()
        number, total, fresh = torch.where(sound, seen, 0.0).split([1, self.code_dim, self.code_dim], -1)
        equal = number.mean().clamp_min(torch.finfo(number.dtype).tiny)
        weight = (1 - self.decay) * sound.to(h)
        self.counts.lerp_(number.squeeze(-1) / equal, weight)
        self.totals.lerp_(total / equal, weight)
        dead = (self.counts < self.revive) & sound
        self.counts.masked_fill_(dead, 1.0)
        self.totals.copy_(torch.where(dead.unsqueeze(-1), fresh, self.totals))

    def _hits(self, h: Float[Tensor, "N D"], chosen: Int[Tensor, " N"]) -> Float[Tensor, "N C"]:
        """1 at the code of each row: sums over it are the same in every order of the threads."""
        return h.new_zeros(len(h), self.codes).scatter_(1, chosen.unsqueeze(-1), 1.0)

    def _some_rows(self, h: Float[Tensor, "N D"]) -> Float[Tensor, "C D"]:
        """A row of the whole batch for each code, each time others; zeros where another process has it."""
        group = current()
        self.looks.add_(1)
        wanted = torch.arange(self.codes, device=h.device) * STRIDES[0] + self.looks * STRIDES[1]
        row = wanted % (len(h) * group.world) - len(h) * group.rank
        here = (row >= 0) & (row < len(h))
        return torch.where(here.unsqueeze(-1), h[row.clamp(0, len(h) - 1)], 0.0)

    @torch.no_grad()
    def start(self, h: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Begins with the centres that k-means finds."""
        h = self._placed(h)
        most = min(KMEANS_VECTORS * self.codes, max(self.codes, KMEANS_DISTANCES // self.codes))
        some = h[torch.randperm(len(h), device=h.device)[:most]]
        self.table.copy_(_far_apart(some, self.codes))
        for _ in range(KMEANS_STEPS):
            hits = self._hits(some, self.nearest(some))
            number = hits.sum(0).unsqueeze(-1)
            self.table.copy_(self._placed(torch.where(number > 0, hits.T @ some / number.clamp_min(1), self.table)))
        if self.decay is not None:
            self.totals.copy_(self.table)
            self.counts.fill_(1.0)
        self.started.fill_(1)
        return F.embedding(self.nearest(h), self.table)


def _far_apart(rows: Float[Tensor, "N D"], count: int) -> Float[Tensor, "C D"]:
    """Rows drawn one after the other, each by its squared distance from the ones before it (k-means++)."""
    chosen = [rows[0]]
    distance = torch.full_like(rows[:, 0], torch.inf)
    while len(chosen) < count:
        distance = torch.minimum(distance, (rows - chosen[-1]).square().sum(-1))
        shares = distance + torch.finfo(rows.dtype).tiny  # where all rows are taken, any
        chosen.append(rows[torch.multinomial(shares, 1)[0]])
    return torch.stack(chosen)


class ResidualQuantiser(Quantiser):
    r"""Quantises, then quantises what is left, and so on; z is the sum of the codes.

    .. math:: r_0 = h, \qquad e^{(s)} = \mathrm{nearest}(r_{s-1}), \qquad r_s = r_{s-1} - e^{(s)}, \qquad
              z = \sum_s e^{(s)}

    Args:
        code_dim: Numbers of a code, D.
        codes: Number of codes of each stage, C.
        stages: Number of stages, S.
        commitment: Weight of the squared distance of h from each partial sum.
        decay: Of each stage's averages.
        revive: As in :class:`VectorQuantiser`.
    Raises:
        PartError: if stages is not from 1 to 64, or a number makes no sense.
    Source:
        Autoregressive image generation using residual quantization (Lee et al., 2022), arXiv:2203.01941, section 3.1,
        with a table for each stage as in SoundStream (Zeghidour et al., 2021), arXiv:2107.03312, algorithm 1.
    """

    def __init__(
        self,
        code_dim: int,
        codes: int = 64,
        stages: int = 4,
        commitment: float = 0.25,
        decay: float = 0.99,
        revive: float = 0.02,
    ) -> None:
        super().__init__(code_dim, codes)
        if not 1 <= stages <= 64:
            raise PartError(f"ResidualQuantiser: stages is {stages}, expected 1 to 64.")
        self.stages = stages
        self.each = nn.ModuleList(
            VectorQuantiser(code_dim, codes, commitment, decay, revive=revive) for _ in range(stages)
        )

    @property
    def starts(self) -> bool:  # type: ignore[override]
        """True until it has begun."""
        return any(stage.starts for stage in self._tables)

    @property
    def _tables(self) -> list[VectorQuantiser]:
        return list(self.each)  # type: ignore[arg-type]

    def forward(self, h: Float[Tensor, "*B M D"]) -> Quantised:
        total = torch.zeros_like(h)
        found = []
        for stage in self.each:
            found.append(stage(h - total))
            total = total + found[-1].vectors.detach()
        numbers = torch.cat([one.indices for one in found], -1)
        penalty = torch.stack([one.penalty for one in found]).sum(0)
        return Quantised(straight_through(total, h), numbers, penalty)

    def indices(self, z: Float[Tensor, "*B M D"]) -> Int[Tensor, "*B M"]:
        if self.stages == 1:
            return self._tables[0].indices(z)
        raise RefusedError(
            "A sum of codes does not tell which ones they were: others may have the same sum. Ask q for its indices."
        )

    def vectors(self, indices: Int[Tensor, "*B M S"]) -> Float[Tensor, "*B M D"]:
        first, *others = (stage.vectors(own) for stage, own in zip(self._tables, indices.split(1, -1), strict=True))
        return sum(others, first)

    def start(self, h: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Begins each stage with what the stages before it leave."""
        total = torch.zeros_like(h)
        for stage in self._tables:
            total = total + stage.start(h - total)
        return total
