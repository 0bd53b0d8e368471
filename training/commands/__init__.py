"""Sub-commands of ``karma-envs``: each file has ``add(subparsers)``, which adds its parser and action."""
