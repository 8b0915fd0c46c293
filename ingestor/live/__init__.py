"""The live channel: what was just written, for those who listen now; keeps little of it, and nothing for ever."""
