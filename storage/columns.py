"""The column types that differ between SQLite and PostgreSQL."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, Numeric, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

PRECISION, SCALE = 28, 10
_QUANTUM = Decimal(1).scaleb(-SCALE)
_LIMIT = Decimal(10) ** (PRECISION - SCALE)
_EXACT = Context(prec=80)
"""Our own context: ccxt changes the one of the process."""

Key = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database draws: SQLite counts up only what is called INTEGER."""


def booked(value: Decimal) -> Decimal:
    """`value` as the database keeps it: half up to ten decimals. TypeError for what is no Decimal, ValueError for
    what does not fit into NUMERIC(28, 10)."""
    if not isinstance(value, Decimal):
        raise TypeError(f"money is Decimal, not {type(value).__name__}")
    if not value.is_finite() or abs(value) >= _LIMIT:
        raise ValueError(f"{value} does not fit into NUMERIC({PRECISION}, {SCALE})")
    kept = value.quantize(_QUANTUM, rounding=ROUND_HALF_UP, context=_EXACT)
    if abs(kept) >= _LIMIT:
        raise ValueError(f"{value} does not fit into NUMERIC({PRECISION}, {SCALE})")
    return kept


def stored(value: Decimal) -> str:
    """`value` as SQLite keeps it."""
    return _short(booked(value))


def _short(value: Decimal) -> str:
    """Without an exponent and without zeros at the end: one text for one number, on both databases."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


class Money(TypeDecorator[Decimal]):
    """An exact amount: NUMERIC(28, 10) on PostgreSQL, decimal text on SQLite, whose NUMERIC is a float.

    On SQLite the database itself cannot sort or sum it: that is done in Python.
    """

    impl = Numeric(PRECISION, SCALE)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric(PRECISION, SCALE))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return stored(value) if dialect.name == "sqlite" else booked(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        return Decimal(value if isinstance(value, str) else _short(value))
