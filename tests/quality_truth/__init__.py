"""The demo home's planted faults, and whether quality over time finds them."""
