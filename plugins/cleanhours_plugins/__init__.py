"""What cleanhours brings along and could live elsewhere. Knows the scheduler's domain, ports and http session, and nothing more of it."""
