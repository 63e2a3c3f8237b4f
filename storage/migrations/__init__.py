"""Alembic's revisions of the schema; `storage/schema.py` runs them."""
