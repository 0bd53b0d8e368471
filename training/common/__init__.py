"""What the rooms of ``training`` share: configurations, flags, folders, tables, the look of figures."""
