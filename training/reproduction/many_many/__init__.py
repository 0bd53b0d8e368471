"""Mguni, Jennings, Munoz de Cote: Decentralised learning in systems with many, many strategic agents."""
