"""The fittings the scheduler cannot do without: settings, clock, ledger, exposition, cache, discovery. Decides nothing about a job."""
