"""What people type on a login node."""
