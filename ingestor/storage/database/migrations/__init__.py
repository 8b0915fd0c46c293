"""How the schema of the metadata database came to be: Alembic's scripts, run by `storage.database.upgrade`."""
