"""The Celery application, its workers and the supervisor that keeps them alive."""
