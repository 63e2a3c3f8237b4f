"""Fixtures that every integration test may ask for."""

from tests.databases import database, url
from tests.house import house

__all__ = ["database", "house", "url"]
