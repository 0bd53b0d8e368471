"""What every test of sweeps has: a wide terminal, and jobs that see at once that they shall stop."""

from __future__ import annotations

import pytest

from training.common import backends


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


@pytest.fixture(autouse=True)
def look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs see the file that stops them at their next epoch."""
    monkeypatch.setattr(backends, "_LOOK_SECONDS", 0.0)
