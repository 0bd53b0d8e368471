"""What theory says of a game: monotonicity, contraction, constants, and where it fails."""
