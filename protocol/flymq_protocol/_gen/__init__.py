"""Generated codecs, one module per API key: see `flymq_protocol.generate`."""
