"""What breaks outside, against the real commands: providers, clocks, disks, locks, kills. Each ends in a job that ran."""
