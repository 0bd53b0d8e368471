"""Controlling the crowd: inducing efficient equilibria in multi-agent systems, 2018."""
