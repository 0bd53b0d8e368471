"""The game of N agents: what one of them gains by leaving a policy, exactly for few and by play for more."""
