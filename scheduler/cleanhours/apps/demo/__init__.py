"""The demonstration: a generated day in a minute, on the same code that runs in production."""
