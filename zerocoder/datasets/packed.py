"""Text that a data set packed as base64(zlib(pickle(text))), read without running the pickle.

Unpickling executes what a pickle says. Here its operations are only listed: nothing but the few that stand for one text
is accepted, so no object is built, no name is looked up and nothing is called, whatever the file holds.
"""

from __future__ import annotations

import base64
import binascii
import pickletools
import zlib

MAX_BYTES = 512 * 2**20
"""Of the unpacked text; zlib can blow one kilobyte up to a megabyte."""
_TEXTS = frozenset({"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"})
_SILENT = frozenset({"PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"})


def unpacked_text(packed: str, max_bytes: int = MAX_BYTES) -> str:
    """The text. Raises ValueError, saying why in one line, for anything else that `packed` may hold."""
    try:
        compressed = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64 ({error})") from error
    inflater = zlib.decompressobj()
    try:
        pickled = inflater.decompress(compressed, max_bytes + 1)
    except zlib.error as error:
        raise ValueError(f"not zlib data ({error})") from error
    if len(pickled) > max_bytes:
        raise ValueError(f"over {max_bytes} bytes when unpacked")
    if not inflater.eof:
        raise ValueError("cut off")
    return _pickled_text(pickled)


def _pickled_text(pickled: bytes) -> str:
    texts: list[str] = []
    try:
        for operation, argument, _ in pickletools.genops(pickled):
            if operation.name in _TEXTS:
                texts.append(str(argument))
            elif operation.name not in _SILENT:
                raise ValueError(f"its pickle holds {operation.name}, where one text is expected")
    except (ValueError, UnicodeError, OverflowError) as error:
        raise ValueError(str(error)) from error
    if len(texts) != 1:
        raise ValueError(f"its pickle holds {len(texts)} texts, where one is expected")
    return texts[0]
