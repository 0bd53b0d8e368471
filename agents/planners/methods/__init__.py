"""Ways to choose the next points of a study. A method is a file that defines a ``METHOD``."""
