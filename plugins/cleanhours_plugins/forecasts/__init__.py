"""Where carbon intensity comes from, one provider a file. Neither caches, nor retries, nor falls back: the scheduler's wrappers do."""
