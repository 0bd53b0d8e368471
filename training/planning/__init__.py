"""Designing mechanisms: what is searched, how, and what it came to."""
