"""Many files, each in a process of its own: into history folders, or into streams of NATS JetStream."""
