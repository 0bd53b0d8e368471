"""Matplotlib, loaded whatever windows it has been told to open, and text that needs no LaTeX.

Pictures and figures are drawn on canvases of their own, so that a backend that does not exist or cannot
be used here (``MPLBACKEND``) must not keep them from being drawn.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any


def load_matplotlib() -> Any:
    """The module ``matplotlib``.

    An ``MPLBACKEND`` that Matplotlib does not know, with which it could not be imported, is passed over.

    Raises:
        ImportError: when Matplotlib is missing, or does not start; the message is one line.
    """
    if (loaded := sys.modules.get("matplotlib")) is not None:
        return loaded
    backend = os.environ.pop("MPLBACKEND", None)  # which importing would check, and cannot be tried twice
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError("drawing needs Matplotlib: pip install 'karma-envs[plot]'") from error
    except ValueError as error:  # a matplotlibrc that is no text
        raise ImportError(f"Matplotlib does not start: {' '.join(str(error).split())}") from error
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend
    return matplotlib


@contextlib.contextmanager
def drawing(style: Any = None) -> Iterator[None]:
    """Draw in a style: in the user's own with these settings changed, and without LaTeX where there is none.

    Args:
        style: settings of Matplotlib by name.

    Raises:
        ImportError: as :func:`load_matplotlib`.
    """
    matplotlib = load_matplotlib()
    settings = dict(style or {})
    if matplotlib.rcParams["text.usetex"] and shutil.which("latex") is None:
        settings["text.usetex"] = False
    with matplotlib.rc_context(settings) if settings else contextlib.nullcontext():
        yield
