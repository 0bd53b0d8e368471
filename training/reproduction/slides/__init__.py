"""R. Xu, *Multi-agent RL from a mean-field perspective*, RLChina 2020, and the papers that it draws on."""
