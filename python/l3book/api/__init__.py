"""The HTTP interface. It sees the hub, never a mutable book or a source."""
