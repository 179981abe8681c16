"""Modules that solutions import, loaded once a worker so that importing them costs nothing.

Every page a zygote has is paid for again at each fork, so the list holds what is common and light; other modules of
the standard library are imported by the program itself, from the read-only root. numpy is loaded where it is allowed,
as importing it would take a program a tenth of a second.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys

_COMMON = """
    abc array bisect builtins cmath collections collections.abc contextlib copy dataclasses datetime decimal enum
    fractions functools heapq io itertools json math numbers operator queue random re statistics string struct sys
    textwrap threading time types typing unicodedata
"""
_REST = """
    argparse ast asyncio base64 binascii bz2 calendar codecs colorsys csv difflib graphlib hashlib hmac html inspect
    keyword locale logging lzma pprint secrets shlex sqlite3 tempfile timeit traceback unittest uuid weakref zlib
"""
_NUMPY = "numpy numpy.linalg numpy.random"
_NUMPY_REST = "numpy.fft numpy.ma numpy.polynomial"
# A thread pool would not survive the fork, and its stacks count as a program's memory.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def load(everything: bool, numpy_home: str) -> None:
    """Imports the list and takes all that is loaded out of the garbage collector's sight.

    everything: also what is less common, for hosts where programs cannot read the standard library's files.
    numpy_home: the folder that holds numpy, where programs may use it, else empty.
    """
    for name in (_COMMON + _REST if everything else _COMMON).split():
        with contextlib.suppress(ImportError):  # optional parts of the standard library
            importlib.import_module(name)
    if numpy_home:
        _load_numpy(numpy_home, _NUMPY + " " + _NUMPY_REST if everything else _NUMPY)
    gc.collect()
    gc.freeze()


def _load_numpy(home: str, names: str) -> None:
    """Imports numpy, and leaves no way to what is installed beside it."""
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    sys.path.append(home)
    try:
        for name in names.split():
            importlib.import_module(name)
    finally:
        sys.path.remove(home)
        for name in _ONE_THREAD:
            del os.environ[name]
