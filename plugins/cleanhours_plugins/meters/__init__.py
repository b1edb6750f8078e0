"""What a run really drew, one energy source a file. Never guesses where it cannot read: it says what it covered."""
