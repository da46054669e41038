"""The checks of shapes that the tests of parts run under are at work."""

import gc
from types import FunctionType

import pytest
import torch
from jaxtyping import TypeCheckError

from reparam.recipes import build
from tests.contracts.members import tiny_data


def test_a_wrong_shape_is_refused() -> None:
    model = build("vae", tiny_data("real", (4,)))
    with pytest.raises(TypeCheckError):
        model.decode("no tensor")
    with pytest.raises(TypeCheckError):
        model.decoder(torch.zeros(2, 3, model.latent_dim))


def test_only_functions_without_shapes_are_spared() -> None:
    gc.unfreeze()
    spared = [
        function
        for function in gc.get_objects()
        if type(function) is FunctionType and "__no_type_check__" in vars(function)
    ]
    gc.freeze()
    assert spared
    hints = [str(hint) for function in spared for hint in function.__annotations__.values()]
    assert not [hint for hint in hints if 'Tensor, "' in hint]
