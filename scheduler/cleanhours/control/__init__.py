"""The cycle that observes, plans, decides, acts and settles, on ports only. Names no cluster, provider, database or library."""
