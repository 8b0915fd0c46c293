"""What flows: a raw frame becomes an Event, an Event becomes a Point; no I/O in here."""
