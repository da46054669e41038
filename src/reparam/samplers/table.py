"""All samplers by name."""

from dataclasses import dataclass, field
from typing import Any

from reparam.errors import UnknownNameError, nearest
from reparam.samplers.autoregressive import AutoregressiveSampler
from reparam.samplers.base import Sampler
from reparam.samplers.flow_matching import FlowMatchingSampler
from reparam.samplers.flows import FlowSampler
from reparam.samplers.mixture import MixtureSampler
from reparam.samplers.riemannian import RiemannianSampler
from reparam.samplers.two_stage import TwoStageSampler

PRIOR = "prior"


@dataclass(frozen=True)
class Kind:
    """A class of samplers, and settings that go with the name."""

    maker: type[Sampler]
    settings: dict[str, Any] = field(default_factory=dict)


SAMPLERS: dict[str, Kind] = {
    "gmm": Kind(MixtureSampler),
    "two-stage": Kind(TwoStageSampler),
    "maf": Kind(FlowSampler, {"direction": "density"}),
    "iaf": Kind(FlowSampler, {"direction": "draw"}),
    "flow-matching": Kind(FlowMatchingSampler),
    "riemannian": Kind(RiemannianSampler),
    "autoregressive": Kind(AutoregressiveSampler),
}


def require_sampler(name: str) -> Kind:
    """The sampler of this name.

    Raises:
        UnknownNameError: if there is none; the nearest one is named.
    """
    if name not in SAMPLERS:
        raise UnknownNameError(f"There is no sampler {name!r}. {nearest(name, [PRIOR, *SAMPLERS])}")
    return SAMPLERS[name]
