"""Policy gradients: methods that learn from play, and move the parameters of a policy uphill."""
