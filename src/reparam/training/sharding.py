"""Weights shared out over the processes by FSDP2: each keeps a part of a layer, and has it whole while it is used."""

import copy
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reparam.errors import RefusedError, RunError
from reparam.processes import Processes, is_part
from reparam.shapes import difference

LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
SMALLEST = 2**12  # layers of fewer weights stay whole in each process


def own_part(tensor: Any) -> Tensor:
    """What this process holds of a tensor, in the same memory."""
    part: Tensor = tensor.detach().to_local() if is_part(tensor) else tensor
    return part


@torch.no_grad()
def gathered(part: Tensor, like: Any) -> Tensor:
    """The whole tensor that this process's part belongs to, shared out as ``like`` is; the part, where that is whole.

    All processes must ask for it together. What was gathered lies in main memory.
    """
    if not is_part(like):
        return part
    from torch.distributed.tensor import DTensor  # half a second, which one process alone need not wait

    found = DTensor.from_local(part, like.device_mesh, like.placements, shape=like.shape, stride=like.stride())
    whole: Tensor = found.full_tensor().cpu()
    return whole


@torch.no_grad()
def put(whole: Tensor, part: Tensor, like: Any) -> None:
    """Copies a whole tensor into this process's part of it, shared out as ``like`` is."""
    if is_part(like):
        from torch.distributed.tensor import distribute_tensor

        shared = distribute_tensor(whole.to(part), like.device_mesh, like.placements, src_data_rank=None)
        whole = shared.to_local()
    part.copy_(whole)


def whole_state(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights and buffers of a module, whole."""
    state = module.state_dict().items()
    return {name: gathered(own_part(value), value) if is_part(value) else value.clone() for name, value in state}


@torch.no_grad()
def load_whole(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Takes back what :func:`whole_state` gave.

    Raises:
        RunError: if it is of another model.
    """
    found = module.state_dict()
    shapes = ({name: tuple(value.shape) for name, value in values.items()} for values in (state, found))
    if wrong := difference(*shapes):
        raise RunError(f"The checkpoint is of another model ({wrong}). Give the run's own.")
    if not any(map(is_part, found.values())):
        module.load_state_dict(state)
        return
    for name, value in found.items():
        put(state[name], own_part(value), value)


@torch.no_grad()
def hand_back(own: Sequence[Any], given: Sequence[Any]) -> None:
    """Gives modules that are whole the weights of copies that are shared out, one tensor at a time.

    A module that is no copy has them.
    """
    for copied, module in zip(own, given, strict=True):
        if copied is module:
            continue
        whole = module.state_dict()
        for name, value in copied.state_dict().items():
            whole[name].copy_(gathered(own_part(value), value))


def shared_out(*modules: Any, processes: Processes) -> tuple[nn.Module, ...]:
    """Copies of modules on the same device, whose large layers are shared out; the given ones wait in main memory.

    All processes begin with the weights of the first. Layers stay whole that share a weight with another module, or lie
    in a part that reads weights by other ways than calling layers (``reads_weights``).

    Raises:
        RefusedError: if a part differentiates a gradient, for which a layer would be needed twice, if weights are read
            otherwise, or if no layer is large.
    Source:
        PyTorch FSDP: experiences on scaling fully sharded data parallel (Zhao et al., 2023), arXiv:2304.11277.
    """
    from torch.distributed import fsdp
    from torch.distributed.device_mesh import init_device_mesh

    for part in (part for module in modules for part in module.modules()):
        if getattr(part, "differentiates_twice", False):
            raise RefusedError(
                f"{type(part).__name__} differentiates a gradient, which weights that are shared out cannot. "
                "Use --train.shard false."
            )
    for module in modules:
        if getattr(module, "reads_weights", False):
            raise RefusedError(f"{type(module).__name__} needs all weights whole. Use --train.shard false.")
    if not _layers(modules):
        raise RefusedError(
            f"No layer of {type(modules[0]).__name__} can be shared out: that takes {SMALLEST:,} weights that are "
            "read by calling the layer alone. Use --train.shard false."
        )
    for module in modules:
        processes.spread(module.state_dict().values())
    device = next(parameter.device for module in modules for parameter in module.parameters())
    copies: tuple[nn.Module, ...] = copy.deepcopy(tuple(module.cpu() for module in modules))
    mesh = init_device_mesh(device.type, (processes.world,))
    layers: list[Any] = _layers(copies)
    for layer in layers:
        for parameter in layer.parameters():
            parameter.data = parameter.data.contiguous()  # FSDP takes no other layout
        layer.register_forward_hook(_without_view)
        fsdp.fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    fsdp.share_comm_ctx(layers)  # or each would keep its whole gradient to the end of the backward pass
    for layer in layers:
        layer.set_modules_to_backward_prefetch([layer])  # no layer knows which one comes before it
    return tuple(module.to(device) for module in copies)


def _without_view(layer: nn.Module, given: Any, found: Tensor) -> Tensor:
    """What a layer gave, in memory of its own: FSDP's mark on a view would be lost to whatever overwrites it."""
    return found.clone() if found._base is not None else found


def _layers(modules: Sequence[nn.Module]) -> list[nn.Module]:
    """Layers that can be shared out, each once."""
    parts = dict.fromkeys(part for module in modules for part in module.modules())
    owners = Counter(id(weight) for part in parts for weight in part.parameters(recurse=False))
    found = dict.fromkeys(layer for module in modules for layer in _large(module))
    return [layer for layer in found if all(owners[id(weight)] == 1 for weight in layer.parameters())]


def _large(module: nn.Module) -> list[nn.Module]:
    if getattr(module, "reads_weights", False):
        return []
    if type(module) in LAYERS:
        return [module] if sum(p.numel() for p in module.parameters()) >= SMALLEST else []
    return [layer for child in module.children() for layer in _large(child)]
