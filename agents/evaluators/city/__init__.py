"""The city at play: what an agent meets on every lane, and what it gains by a better policy."""
