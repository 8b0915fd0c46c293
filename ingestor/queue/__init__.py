"""The wire between processes: names, the versioned message format, the producer, done marks."""
