"""Re-ranking: from the order of single films to a list as a whole."""
