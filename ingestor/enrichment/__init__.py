"""Context that is added to events, as an ordered list of steps."""
