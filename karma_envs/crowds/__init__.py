"""Crowds in the plane: what games share in which agents move to places worth less the more go there."""
