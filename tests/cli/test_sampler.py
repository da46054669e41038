"""``reparam sample --sampler``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Invoke


def test_a_plain_autoencoder_makes_new_items(invoke: Invoke, ae: Path, tmp_path: Path) -> None:
    words = ("sample", ae, "--sampler", "gmm", "-n", 4, "--out", tmp_path / "new.png")
    answer = invoke(*words, "--json")
    assert answer.code == 0
    assert answer.json["sampler"] == "gmm"
    assert (tmp_path / "new.png").stat().st_size > 100
    assert (ae / "samplers" / "gmm" / "weights.safetensors").exists()
    assert invoke(*words).code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--sampler", "gm"), 2, "There is no sampler 'gm'. Did you mean 'gmm'?"),
        (("--sampler", "gmm", "--temperature", "0.5"), 2, "The gmm sampler has no temperature"),
        (("--sampler", "autoregressive"), 1, "this model's z are real numbers"),
    ],
)
def test_refuses(invoke: Invoke, ae: Path, words: tuple[str, ...], code: int, said: str) -> None:
    answer = invoke("sample", ae, *words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
