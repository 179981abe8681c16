"""One line of a JSON-lines file -> its object, or what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

from zerocoder.problems import ZeroCoderError


def json_object(line: bytes, where: str) -> dict[str, Any]:
    """The object that a line holds. Raises ZeroCoderError, which starts with `where` (file and line number)."""
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ZeroCoderError(f"{where}: not UTF-8 text (byte {error.start} of the line)") from error
    except (ValueError, RecursionError) as error:
        raise ZeroCoderError(f"{where}: not JSON ({error}); one JSON object a line is expected") from error
    if not isinstance(value, dict):
        raise ZeroCoderError(f"{where}: a JSON object is expected, got {kind_of(value)}")
    return value


def kind_of(value: Any) -> str:
    """What a value is called in JSON, with its article."""
    kinds = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number", str: "text"}
    return kinds.get(type(value), "null")
