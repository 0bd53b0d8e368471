"""R. Xu, *Multi-agent RL from a mean-field perspective*, lecture at RLChina 2020."""
