"""Fixtures that every integration test may ask for."""

from tests.databases import database, url

__all__ = ["database", "url"]
