"""Tests of cleanhours. They read as sentences; the folders say what a test needs."""
