"""Every adapter, and every fake, against the suite of the port it fills."""
