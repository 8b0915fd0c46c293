"""Measurements of scaling on this machine: what a burst, or a noisy home, does to a running installation."""
