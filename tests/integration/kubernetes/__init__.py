"""Against a real Kubernetes API: control planes of our own, and Helm."""
