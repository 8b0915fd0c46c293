"""Celery tasks, a module a task type: each an envelope round one plain function of `ingestor.pipeline`."""
