"""Numbers fast and the same each time: compiled kernels, random streams, drawing from tables."""
