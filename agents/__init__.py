"""Agents: tabular policies, baselines and learners for the games of ``karma_envs``."""

from agents.policy import TabularPolicy

__all__ = ["TabularPolicy"]
