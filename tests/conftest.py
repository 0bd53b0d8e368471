"""Failed assertions show their values in the modules that tests share, too."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHARED = [
    file
    for file in HERE.rglob("*.py")
    if not file.name.startswith("test_") and file.name not in {"conftest.py", "__init__.py"}
]
pytest.register_assert_rewrite(
    *(".".join(("tests", *file.relative_to(HERE).with_suffix("").parts)) for file in SHARED)
)
