"""After the queue: validate, enrich and write, each a plain function from batch to outcome."""
