"""HA-Ingestor: keeps every event of a home that runs Home Assistant."""

__version__ = "0.1.0"
