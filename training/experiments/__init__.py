"""Published tables and figures, each a file here: what was published, how it is made anew, how it looks.

A file defines an ``EXPERIMENT``; ``karma-envs reproduce`` runs it. Tolerances stand in the file, with
their reasons, before anything is run.
"""
