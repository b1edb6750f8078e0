"""One room at a time: no other process, no network beyond this process."""
