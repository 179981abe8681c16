"""How values out of range are refused."""

from __future__ import annotations

from zerocoder.problems import ZeroCoderError


def require(condition: bool, key: str, must: str, value: object) -> None:
    """Refuse a value out of range in one line that names the key."""
    if not condition:
        raise ZeroCoderError(f"{key} must be {must}, got {value}")


def require_one_of(value: str, known: tuple[str, ...], key: str) -> None:
    """Refuse a value that is none of the known ones."""
    require(value in known, key, f"one of {', '.join(known)}", value)
