"""Fakes that keep the ports' promises, and the suites that check an adapter against them. Never part of a running scheduler."""
