"""Books beyond one machine: a source's records in a stream of NATS JetStream, for any number of servers to read."""
