"""Points and where they rest: the store port and its adapters, quarantine, the index of what was written."""
