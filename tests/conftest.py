"""What tests share: their modules, in which failed assertions show values, too, and a working folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Kernels are compiled in an example's time, and machines are busy: no example has a time to keep.
settings.register_profile("karma-envs", deadline=None)
settings.load_profile("karma-envs")

HERE = Path(__file__).parent
SHARED = [
    file
    for file in HERE.rglob("*.py")
    if not file.name.startswith("test_") and file.name not in {"conftest.py", "__init__.py"}
]
pytest.register_assert_rewrite(
    *(".".join(("tests", *file.relative_to(HERE).with_suffix("").parts)) for file in SHARED)
)


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder that is not on the path, as for an installed command."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
