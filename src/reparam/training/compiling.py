"""Networks as compiled graphs, where that pays."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from reparam.errors import RunError
from reparam.networks import BottomUp, Decoder, Encoder, Hierarchy
from reparam.training.settings import TrainSettings

WORTH_STEPS = 5_000
NETWORKS = Encoder | Decoder | BottomUp | Hierarchy


def worth_compiling(settings: TrainSettings, device: torch.device, steps: int, sharded: bool, *owners: Any) -> bool:
    """What ``compile`` means for this training of a model by an objective.

    ``auto`` compiles long trainings on a GPU only: on two CPU cores a first compilation took 54 to 94 seconds and
    gained 0 to 12 %, which few trainings there earn back.

    Raises:
        RunError: if it is ``on``, and weights are shared out, or a part differentiates a gradient, which compiled
            graphs cannot.
    """
    if sharded:
        if settings.compile == "on":
            raise RunError("Compiled graphs need whole weights. Use --train.compile off, or --train.shard false.")
        return False
    parts = [part for owner in owners for part in owner.modules()]
    twice = [type(part).__name__ for part in parts if getattr(part, "differentiates_twice", False)]
    if twice and settings.compile == "on":
        raise RunError(f"{twice[0]} differentiates a gradient, which compiled graphs cannot. Use --train.compile off.")
    if twice:
        return False
    if settings.compile == "auto":
        return device.type == "cuda" and steps >= WORTH_STEPS
    return settings.compile == "on"


@contextmanager
def compiled(model: nn.Module, wanted: bool) -> Iterator[None]:
    """Runs the networks of a model as compiled graphs for a block.

    Raises:
        RunError: if this machine cannot compile.
    """
    networks = [module for module in model.modules() if isinstance(module, NETWORKS)] if wanted else []
    for network in networks:
        network.compile(dynamic=False)
    try:
        yield
    except Exception as error:
        if not wanted or not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        reason = str(error).strip().splitlines()[0]
        raise RunError(f"torch.compile failed here ({reason}). Use --train.compile off.") from None
    finally:
        for network in networks:
            network._compiled_call_impl = None


def uncompiled(model: nn.Module) -> AbstractContextManager[object]:
    """Runs the networks as they were written, for batches of other sizes, each of which would compile again."""
    if any(module._compiled_call_impl is not None for module in model.modules()):
        return torch.compiler.set_stance("force_eager")
    return nullcontext()
