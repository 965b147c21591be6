"""One module per API key, with its request, its response and their structs."""
