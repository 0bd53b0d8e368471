"""The games: one file or folder each. A module here that defines a ``GAME`` class is registered."""
