"""Units of length, as far as file formats know them."""

from __future__ import annotations

METRES = {
    "picometer": 1e-12,
    "nanometer": 1e-9,
    "micrometer": 1e-6,
    "millimeter": 1e-3,
    "centimeter": 1e-2,
    "meter": 1.0,
    "inch": 0.0254,
}

_SYMBOLS = {
    "picometer": "pm",
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "inch": "in",
    "pixel": "pixel",
}

_NAMES = {symbol: name for name, symbol in _SYMBOLS.items()} | {
    "um": "micrometer",
    "μm": "micrometer",
    "\\u00B5m": "micrometer",
    "micron": "micrometer",
    "pixels": "pixel",
}


def symbol_of(unit: str) -> str:
    """Return the symbol of a unit: ``µm`` for ``micrometer``."""
    return _SYMBOLS.get(unit, unit)


def name_of(symbol: str) -> str:
    """Return the name of a unit: ``micrometer`` for ``µm`` or ``um``."""
    return _NAMES.get(symbol, symbol)
