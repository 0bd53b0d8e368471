"""*Learning stationary strategies in large-population multi-agent systems with exchangeable agents*."""
