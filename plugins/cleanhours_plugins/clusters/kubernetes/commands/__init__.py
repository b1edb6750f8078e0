"""Commands that only Kubernetes needs, and that need only Kubernetes."""
