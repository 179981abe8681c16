"""Standard library modules that solutions import, loaded once a worker so that importing them costs nothing.

Every page a zygote has is paid for again at each fork, so the list holds what is common and light; other modules of
the standard library are imported by the program itself, from the read-only root.
"""

from __future__ import annotations

import contextlib
import gc
import importlib

_COMMON = """
    abc array bisect builtins cmath collections collections.abc contextlib copy dataclasses datetime decimal enum
    fractions functools heapq io itertools json math numbers operator queue random re statistics string struct sys
    textwrap threading time types typing unicodedata
"""
_REST = """
    argparse ast asyncio base64 binascii bz2 calendar codecs colorsys csv difflib graphlib hashlib hmac html inspect
    keyword locale logging lzma pprint secrets shlex sqlite3 tempfile timeit traceback unittest uuid weakref zlib
"""


def load(everything: bool) -> None:
    """Imports the list and takes all that is loaded out of the garbage collector's sight.

    `everything`: also what is less common, for hosts where programs cannot read the standard library's files.
    """
    for name in (_COMMON + _REST if everything else _COMMON).split():
        with contextlib.suppress(ImportError):  # optional parts of the standard library
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
