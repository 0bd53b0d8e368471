"""A step of the ferry, compiled."""

from karma_envs.numerics.compile import kernel


@kernel
def board(actions, patience, most_patience, impatience, rewards):
    """Change everyone's patience, and write what everyone gets.

    Args:
        actions: ``int64[N]``, 1 to go on board.
        patience: ``int64[N]``, changed.
        most_patience: of those who have been on board.
        impatience: cost of a wait without patience.
        rewards: ``float32[N]``, written.
    """
    n_agents = actions.shape[0]
    aboard = 0
    for agent in range(n_agents):
        aboard += actions[agent]
    for agent in range(n_agents):
        if actions[agent] == 1:
            rewards[agent] = 1 - aboard / n_agents
            patience[agent] = most_patience
        else:
            rewards[agent] = -impatience * (1 - patience[agent] / most_patience)
            patience[agent] = max(patience[agent] - 1, 0)
