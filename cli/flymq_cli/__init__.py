"""The `flymq-cli` command. It stands on `flymq.client`, so it works with any Kafka.

Nothing but click is imported before a command runs: `--help` and completion have to feel instant.
"""
