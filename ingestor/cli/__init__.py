"""The command line, a module a command group; with bootstrap the composition root."""
