"""What theory says of a game, in a folder, with figures."""
