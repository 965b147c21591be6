"""The emitters behind `flymq_protocol.generate`: layouts in, Python source out."""
