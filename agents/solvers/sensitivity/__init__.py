"""How an equilibrium of the mean field moves with the numbers that the game is made of."""
