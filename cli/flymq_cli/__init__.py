"""Where the `flymq-cli` command goes: it stands on `flymq.client`, and comes with it.

The package is here already so that its name and its place in the wheel are settled.
"""
