"""The command line of the order service: a client of its HTTP API, and nothing of the service itself."""
