"""The scheduler as a whole, with fakes or real processes on this machine."""
