"""One module per group of commands; each function is one command of the `adstream` program."""
