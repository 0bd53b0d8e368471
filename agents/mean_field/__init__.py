"""What solvers of finite mean-field models share: units of reward, and derivatives."""
