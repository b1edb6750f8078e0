"""Real programs of others: Prometheus, PostgreSQL, Kubernetes, Slurm. Skips, saying what to install, where they are missing."""
