"""What goes wrong with results."""


class ResultsError(RuntimeError):
    """A results folder or file that cannot be used; the message says which and why."""
