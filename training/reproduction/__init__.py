"""Published tables and figures, each a file in a folder here: what was published, how it is made anew.

A file defines an ``EXPERIMENT``; ``karma-envs reproduce`` runs it. Tolerances stand in the file, with
their reasons, before anything is run.
"""
