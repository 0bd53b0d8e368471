"""What solvers and evaluators share: dynamic programming and stationary mean fields of finite models."""
