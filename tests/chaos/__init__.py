"""`make chaos` and `make soak`: the real stack under fire, and every field of every event compared afterwards."""
