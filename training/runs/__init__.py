"""Training runs: epochs of simulation and learning, their folder, evaluation and figures."""
