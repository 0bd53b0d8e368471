"""What karma economies share: configuration, game, urgency, and what becomes of the surplus."""
