"""What meters share that ask a Prometheus server: questions and answers, the server, Pods, counters, gauges, profiles."""
