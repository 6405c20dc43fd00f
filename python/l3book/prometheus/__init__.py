"""What a server measures, as Prometheus reads it. Knows the maps of /v1/metrics, no market and no socket."""
