"""Fixtures that every integration test may ask for."""

from tests.databases import database, url
from tests.gateways import bench, trader
from tests.house import house

__all__ = ["bench", "database", "house", "trader", "url"]
