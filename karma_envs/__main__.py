"""The command ``karma-envs``, also as ``python -m karma_envs``: that of ``training``, if it is ours."""

from __future__ import annotations

import importlib
import sys

from karma_envs.plugins import require_own


def main() -> int:
    """Run the command; the exit status is as ``karma-envs --help`` says."""
    try:
        for package in ("agents", "training"):
            require_own(package)
    except ImportError as error:
        print(f"karma-envs: {error}", file=sys.stderr)
        return 1
    # By name, so that nothing of this package depends on those that are built on it.
    return int(importlib.import_module("training.cli").main())


if __name__ == "__main__":
    sys.exit(main())
