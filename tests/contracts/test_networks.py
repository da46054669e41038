"""Every encoder and every decoder, for every shape."""

from typing import Any

import pytest
import torch

from reparam.errors import PartError, ShapeError
from reparam.networks import StandardizedEncoder
from reparam.parts import CONDITIONAL, PARTS, constructor
from reparam.rng import reseed
from reparam.shapes import Shape
from tests.contracts.members import ELSEWHERE, ROWS, SHAPES, VECTORS, Settings, dead, make, row, seeded_, takes

# the default convolutions have up to 256 features: enough to try on the smaller shapes
BIG = (3, 64, 48)


def cases(section: str) -> list[Any]:
    return [
        row(kind, settings, shape)
        for kind in PARTS[section]
        if kind != CONDITIONAL and (section, kind) not in ELSEWHERE
        for settings in ROWS[section].get(kind, ())
        for shape in SHAPES
        if takes(kind, shape)
    ]


@pytest.mark.parametrize(("kind", "settings", "shape"), cases("encoder"))
def test_encoder(kind: str, settings: Settings, shape: Shape) -> None:
    reseed(0)
    encoder = seeded_(make("encoder", kind, settings, shape)).double()
    x = torch.randn(2, *shape, dtype=torch.float64)
    h = encoder(x)
    assert h.shape == (2, encoder.out_dim)
    assert encoder.data_shape == shape
    h.square().sum().backward()
    assert not dead(encoder)
    # float64: what one row gives is the same within rounding, whatever else is in the batch
    assert torch.allclose(encoder(x[1:])[0], h[1], atol=1e-10, rtol=1e-10)
    assert torch.equal(encoder.eval()(x), encoder.train()(x))
    with pytest.raises(ShapeError, match=r"expected \(B, .*Reshape x"):
        encoder(x.unsqueeze(1))


@pytest.mark.parametrize(("kind", "settings", "shape"), cases("decoder"))
def test_decoder(kind: str, settings: Settings, shape: Shape) -> None:
    reseed(0)
    decoder = seeded_(make("decoder", kind, settings, shape)).double().eval()  # in training, some follow their weights
    z = torch.randn(2, decoder.latent_dim, dtype=torch.float64)
    h = decoder(z)
    assert h.shape == (2, *shape)
    assert decoder.latent_dim % 3 == 0
    assert decoder.out_shape == shape
    h.square().sum().backward()
    assert not dead(decoder)
    assert torch.allclose(decoder(z[1:])[0], h[1], atol=1e-10, rtol=1e-10)
    assert torch.equal(decoder.eval()(z), decoder.train()(z))


@pytest.mark.parametrize(("kind", "settings", "shape"), cases("encoder"))
def test_encoder_sees_every_value(kind: str, settings: Settings, shape: Shape) -> None:
    """Padding and folding lose no value of x: each one moves some feature."""
    reseed(0)
    encoder = seeded_(make("encoder", kind, settings, shape)).double()
    x = torch.randn(8, *shape, dtype=torch.float64, requires_grad=True)
    encoder(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().amax(0).gt(0).all()


@pytest.mark.parametrize("section", ["encoder", "decoder"])
@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_stay_finite_for_huge_inputs(section: str, kind: str) -> None:
    reseed(0)
    for settings in ROWS[section][kind]:
        network = seeded_(make(section, kind, settings, (2, 9, 10)))
        given = torch.randn(4, *((2, 9, 10) if section == "encoder" else (3,)))
        assert network(1e4 * given).isfinite().all()


@pytest.mark.parametrize("section", ["encoder", "decoder"])
@pytest.mark.parametrize("shape", VECTORS)
def test_convolutions_refuse_vectors(section: str, shape: Shape) -> None:
    with pytest.raises(PartError, match=r"expected \(C, H, W\) or \(C, T\). Use kind 'mlp' for vectors"):
        make(section, "conv", {}, shape)


@pytest.mark.parametrize("section", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("kind", "settings", "sentence"),
    [
        ("mlp", {"hidden_dims": ()}, "expected at least"),
        ("mlp", {"hidden_dims": (4, 0, 4)}, "expected at least one width of 1 or more"),
        ("mlp", {"layer": "gatd"}, "layer is 'gatd'. Did you mean 'gated'"),
        ("conv", {"channels": ()}, "expected as many blocks as channels"),
        ("conv", {"channels": (4, 0)}, "expected as many blocks as channels"),
        ("conv", {"channels": (4, 4), "blocks": (1,)}, "expected as many blocks as channels"),
        ("conv", {"channels": (4,), "blocks": 0}, "all of them at least 1"),
        ("conv", {"patch": 0}, "patch is 0, expected at least 1"),
        ("conv", {"patch": -2}, "patch is -2, expected at least 1"),
        ("conv", {"hidden_dim": 0}, "expected at least 1"),
        ("conv", {"block": "residul"}, "block is 'residul'. Did you mean 'residual'"),
    ],
)
def test_refuse_wrong_settings(section: str, kind: str, settings: Settings, sentence: str) -> None:
    # called without the shape checker: it would refuse a misspelt name before the part can
    build = getattr(constructor(section, kind).__init__, "__wrapped__", constructor(section, kind).__init__)
    shape = {"data_shape": (1, 12, 12)} if section == "encoder" else {"latent_dim": 3, "out_shape": (1, 12, 12)}
    with pytest.raises(PartError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        build(object.__new__(constructor(section, kind)), **shape, **settings)


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_decoder_refuses_no_latent_dimension(kind: str) -> None:
    with pytest.raises(PartError, match="latent_dim is 0, expected at least 1"):
        make("decoder", kind, {}, (1, 12, 12), latent_dim=0)


def test_standardized_encoder_sees_standard_values() -> None:
    reseed(0)
    base = make("encoder", "mlp", {"hidden_dims": (5,)}, (2, 4)).double()
    encoder = StandardizedEncoder(base, shift=(10.0, -2.0), scale=(4.0, 0.5)).double()
    x = torch.randn(3, 2, 4, dtype=torch.float64)
    raw = torch.stack([x[:, 0] * 4 + 10, x[:, 1] * 0.5 - 2], 1)
    # the same numbers within rounding of float64
    assert torch.allclose(encoder(raw), base(x), atol=1e-12)
    with pytest.raises(ShapeError, match="shift and scale have 1 values"):
        StandardizedEncoder(base, shift=(1.0,), scale=(1.0,))
