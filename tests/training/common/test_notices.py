"""How the command shows warnings."""

from __future__ import annotations

import warnings

import pytest

from training.common.notices import notices


@pytest.mark.filterwarnings("always")
def test_a_warning_is_a_line_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    before = warnings.showwarning
    with notices():
        for about in ("lanes [1]", "lanes [2]", "lanes [1]"):
            warnings.warn(f"{about} are left out", stacklevel=1)
    assert warnings.showwarning is before
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "karma-envs: warning: lanes [1] are left out",
        "karma-envs: warning: lanes [2] are left out",
    ]


@pytest.mark.filterwarnings("always")
def test_warnings_of_others_are_as_ever() -> None:
    with pytest.warns(RuntimeWarning, match="overflow"), notices():
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)
