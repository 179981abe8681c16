"""Does a test look at what it tests? Asked of two kinds of programs whose results are known to be worthless.

A test that *strangers* pass, programs that answer any problem with nothing, a number, a text and a list, tells no two
programs apart: `assert f(1) == f(1)`, `assert f(1) or True`. It is no test, whatever solutions exist. A test that a
right program passes, and that it passes as well with every result *spoiled*, checks no result: `assert f(1) is not
None`, `assert isinstance(f(1), int)`. It is passed with certainty by whoever wrote it, and must not be paid like one
that may be wrong. Both are found by running them, so that it does not matter how they are worded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution import Job, Verdict
from zerocoder.execution.verdicts import is_unknown
from zerocoder.problems import Program, TestCase

# Functions of their arguments, so that a comparison of two different calls, which is a test, is not taken for none.
# The last one changes its arguments, too: a test may look at those instead of the result.
_STRANGERS = (
    "def {name}(*args, **kwargs):\n    return None\n",
    "def {name}(*args, **kwargs):\n    return hash(repr((args, kwargs)))\n",
    "def {name}(*args, **kwargs):\n    return 'stranger ' + repr((args, kwargs))\n",
    "def {name}(*args, **kwargs):\n"
    "    result = [hash(repr((args, kwargs))), 0, 1]\n"
    "    for argument in (*args, *kwargs.values()):\n"
    "        if isinstance(argument, (list, dict, set, bytearray)):\n"
    "            argument.clear()\n"
    "    return result\n",
)

# Put behind a program. `step` is 1 for results that are larger, -1 for smaller ones. How much larger depends on the
# arguments, for a comparison of two calls to notice it; types stay, for a look at the type not to. Calls that the
# program makes of itself are left alone: what it computes, and how long that takes, stays the same.
_SPOILER = """

def _spoiler(function, step):
    import copy, itertools

    def spoiled(value, by):
        if isinstance(value, bool):
            return not value if step > 0 or by > 1 else value
        if value is None:
            return by
        if isinstance(value, float):
            moved = value + step * by * (1 + abs(value) / 8)
            return moved if moved != value and value == value else 0.0
        if isinstance(value, (str, bytes, bytearray)):
            extra = "~" if isinstance(value, str) else b"~"
            return value[by:] if step < 0 and len(value) > by else value + extra * by
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*[spoiled(item, by) for item in value])
        if isinstance(value, dict):
            other = copy.copy(value)
            for key in list(value)[:by]:
                del other[key]
            return other | {key: spoiled(value[key], by) for key in value if step > 0} or {by: by}
        if isinstance(value, (set, frozenset)):
            items = sorted(value, key=repr)
            return type(value)(items[by:] if step < 0 and len(items) > by else [*items, ("~", by)])
        if isinstance(value, (list, tuple)):
            items = list(value)
            items = [spoiled(item, by) for item in items] if step > 0 else items[by:] or items[1:]
            return type(value)(items or [by])
        if hasattr(value, "__next__"):
            return itertools.chain([by], value) if step > 0 else itertools.islice(value, by, None)
        try:
            return value + step * by
        except Exception:
            return spoiled(list(value), by) if hasattr(value, "__iter__") else None

    def overwrite(argument, by):
        other = spoiled(argument, by)
        argument.clear()
        (argument.extend if isinstance(argument, (list, bytearray)) else argument.update)(other)

    def call(*args, **kwargs):
        if call.inside:
            return function(*args, **kwargs)
        by = 1 + hash(repr((step, args, kwargs))) % 3
        given = [a for a in (*args, *kwargs.values()) if isinstance(a, (list, dict, set, bytearray))]
        before = copy.deepcopy(given)
        call.inside = True
        try:
            value = function(*args, **kwargs)
        except Exception:
            if step > 0:
                return by
            raise
        finally:
            call.inside = False
        changed = [a for a, old in zip(given, before) if a != old]
        for argument in changed:
            overwrite(argument, by)
        return value if changed and (value is None or any(value is a for a in changed)) else spoiled(value, by)

    call.inside = False
    return call


{name} = _spoiler({name}, {step})
"""


def strangers_job(tests: Sequence[TestCase | None], entry_point: str) -> Job:
    """Programs that solve no problem against tests, to be run; see `blind`."""
    programs = tuple(Program(source.format(name=entry_point)) for source in _STRANGERS)
    return Job(programs, tuple(tests), entry_point, family=True, cancel=False)


def blind(verdicts: NDArray[np.int8]) -> NDArray[np.bool_]:
    """[K] whether a test refuses none of them, out of the verdicts of a `strangers_job`.

    One that is late on all of them is slow by itself, and refuses no program for what it returned, either.
    """
    return np.asarray(~(_refused(verdicts) | is_unknown(verdicts) | (verdicts == Verdict.SKIPPED)).any(axis=0))


def spoiled_job(source: str, tests: Sequence[TestCase | None], entry_point: str) -> Job:
    """A program with its results spoiled, in two ways, against tests that it passes, to be run; see `looking`.

    So are arguments that the program changes, and exceptions that it raises are values one of the ways.
    """
    tails = (_SPOILER.replace("{name}", entry_point).replace("{step}", step) for step in ("1", "-1"))
    return Job(tuple(Program(source + tail) for tail in tails), tuple(tests), entry_point, cancel=False)


def looking(verdicts: NDArray[np.int8]) -> NDArray[np.bool_]:
    """[K] whether a test noticed that results were spoiled, either way, out of the verdicts of a `spoiled_job`.

    True where a failure of ours hid it: nobody is punished for that.
    """
    return np.asarray((_refused(verdicts) | is_unknown(verdicts)).any(axis=0))


def _refused(verdicts: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Where a value was found wrong. Being late or short of memory says nothing about what a test looks at."""
    return np.isin(verdicts, (Verdict.FAIL, Verdict.ERROR, Verdict.UNSUPPORTED))
