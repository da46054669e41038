"""Every kind in the table of parts has a row in the contract tests."""

import pytest

from reparam.parts import PARTS
from tests.contracts.members import ROWS, SUPPORT


@pytest.mark.parametrize("section", [section for section in PARTS if section != "model"])
def test_every_kind_has_a_row(section: str) -> None:
    assert set(ROWS[section]) == set(PARTS[section])
    assert all(ROWS[section].values())


def test_every_likelihood_says_what_its_data_are() -> None:
    assert set(SUPPORT) == set(PARTS["likelihood"])


def test_every_model_is_known_here() -> None:
    """A further graphical model needs tests of its own: tests/models covers these."""
    assert set(PARTS["model"]) == {
        "flat",
        "hierarchical",
        "semi-supervised",
        "implicit",
        "grouped",
        "sequential",
        "hybrid",
    }
