"""Before the queue: the listeners, the batcher and the journal."""
