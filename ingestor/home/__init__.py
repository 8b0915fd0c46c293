"""The map of the home: areas, devices, entities and their names over time; its sync, diff and cache."""
