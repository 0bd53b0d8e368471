"""The games: one file or folder each, which defines ``GAME``; those whose name begins with _ are helpers."""
