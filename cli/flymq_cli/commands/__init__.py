"""One file for each command, or family of commands; imported when it is used."""
