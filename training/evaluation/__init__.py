"""Playing policies and comparing what comes of them; knows games and policies, no runs."""
