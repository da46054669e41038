"""The shape of a batch, from the shapes of what it is made of."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reparam.shapes import broadcast

SHAPE = st.lists(st.integers(0, 3), max_size=4).map(tuple)


@given(st.lists(SHAPE, min_size=1, max_size=3))
def test_broadcast_is_that_of_torch(shapes: list[tuple[int, ...]]) -> None:
    try:
        expected = tuple(torch.broadcast_tensors(*map(torch.empty, shapes))[0].shape)
    except RuntimeError:
        with pytest.raises(ValueError, match=r"the shapes .* cannot be broadcast to one"):
            broadcast(*shapes)
    else:
        assert broadcast(*shapes) == expected
