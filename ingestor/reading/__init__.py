"""What is told of the installation, as plain values: the same for the command line and the API; prints nothing."""
