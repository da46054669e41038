"""Checkpoints without waiting for the disk: what is tested here is what they hold."""

import os

import pytest


@pytest.fixture(autouse=True)
def disk_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out fsync, which costs more than the training of a small model."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
