"""Scripts that compute what we ship; none of them is imported by it."""
