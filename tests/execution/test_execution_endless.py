"""Loops that are proven never to end, and loops that look like it."""

from __future__ import annotations

import ast
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import pytest
from execution_helpers import RunMatrix, as_job
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from zerocoder.execution import Limits
from zerocoder.execution.progress import Progress
from zerocoder.execution.sandbox.endless import FILENAME, PYTHONS, SIGNAL, Hidden, Lookout, is_watchable, state_of
from zerocoder.execution.sandbox.runner import compile_source
from zerocoder.execution.sandbox.work import FOR_GOOD

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] not in PYTHONS, reason="nothing is looked at under this Python: see endless.PYTHONS"
)


class Proven(BaseException):
    """Raised by a proof, so that a test can go on."""


class GivenUp(BaseException):
    """Raised when a program has run for long enough."""


def outcome(source: str, *args: Any, seconds: float = 0.25) -> Any:
    """What `f(*args)` returns; "proven" or "running" where it does not."""

    def report() -> None:
        raise Proven

    def tick(signum: int, frame: Any) -> None:
        if lookout.source is not None and time.process_time() > end:
            raise GivenUp
        lookout.look(signum, frame)

    lookout = Lookout(report)
    namespace: dict[str, Any] = {"__name__": "solution"}
    exec(compile_source(source, FILENAME), namespace)
    end = time.process_time() + seconds
    before = signal.signal(SIGNAL, tick), signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.01)
    try:
        lookout.source = source
        return namespace["f"](*args)
    except Proven:
        return "proven"
    except GivenUp:
        return "running"
    finally:
        lookout.end()
        signal.setitimer(signal.ITIMER_REAL, 0)
        time.sleep(0)  # a signal that is there already still finds its handler
        signal.signal(SIGNAL, before[0])
        signal.signal(signal.SIGALRM, before[1])


@pytest.fixture(autouse=True)
def without_other_tracers() -> Iterator[None]:
    """A coverage tool would be switched off by the lookout."""
    traced = sys.gettrace()
    yield
    sys.settrace(traced)


ENDLESS = """
def f(x):
    while True: pass
---
def f(x):
    while x: pass
---
def f(x):
    while True:
        pass
---
def f(x):
    total = 0
    while x != 0 or True:
        total += x % 10
        x //= 10
---
def f(text):
    while True:
        try:
            return {}[text]
        except:
            pass
---
def f(x):
    high = 1.0
    while high > 0:
        high = (high + 1) / 2
    return high
---
def f(x):
    low, high = 0, 10
    while low < high:
        middle = (low + high) // 2
        if middle < 5:
            low = middle
        else:
            high = middle
    return low
---
def f(x):
    items = [3, 1, 2]
    while items:
        items.append(items.pop(0))
        items.sort()
---
def f(x):
    seen = {}
    while len(seen) < 5:
        for key in (1, 2, 3):
            seen[key] = [key]
---
def helper(n): return n + 1 if n < 10 else 0
def f(x):
    while x >= 0:
        x = helper(x)
---
import math
from typing import List
def f(x):
    for i in range(3):
        while math.gcd(x, 6) < 10:
            x = 6
---
from collections import deque
def f(x):
    queue = deque([1, 2])
    while queue:
        queue.rotate(1)
---
def f(x):
    def inner(n, step=1): return n + step
    n = 0
    while inner(n) > -1: n = -n
---
n = 0
def f(x):
    global n
    while n >= 0:
        n = 1 - n
---
def f(x):
    def spin():
        while True:
            x
    spin()
---
def f(x):
    while True:
        while x < 5:
            x += 1
        x = 0
"""

ENDING = """
def f(x):
    n = 0
    for _ in [0] * 2_000_000:
        while int(n):
            pass
    return 1
---
def f(x):
    n = 0
    while n < 2_000_000:
        n += 1
    return 1
---
def f(x):
    rest = iter([0] * 2_000_000 + [1])
    while next(rest) == 0:
        pass
    return 1
---
def f(x):
    take = ([1] + [0] * 2_000_000).pop
    while not take():
        pass
    return 1
---
def f(x):
    def count():
        for n in range(2_000_000): yield 0
        yield 1
    numbers = count()
    while next(numbers) == 0:
        pass
    return 1
---
def f(x):
    done = 0
    def step():
        nonlocal done
        done += 1
        return done
    while step() < 1_000_000:
        pass
    return 1
---
def step(x, kept=[]):
    kept.append(1)
    return len(kept)
def f(x):
    while step(x) < 1_000_000:
        pass
    return 1
---
n = 0
def step():
    global n
    n += 1
def f(x):
    while n < 1_000_000:
        step()
    return 1
---
def f(x):
    while True:
        for n in [0] * 3_000_000:
            pass
        return 1
---
def f(x):
    while True:
        m = [0 for n in [0] * 3_000_000]
        return 1
---
import functools
calls = 0
def f(x):
    @functools.lru_cache(maxsize=None)
    def step(n): return [n]
    while step(0) is not None:
        step(0).append(1)
        if len(step(0)) > 500_000: return 1
---
def f(x):
    word = ""
    while len(word) < 1_000_000:
        word += "a"
    return 1
---
def f(x):
    a, seen = 1, set()
    while a not in seen:
        seen.add(a)
        a = a * 48271 % 2147483647
        if len(seen) > 300_000: return 1
---
def f(x):
    while True:
        if (x := x + 1) > 1_000_000: return 1
---
def f(x):
    empty = range(0)
    while empty.start < 500_000: empty = range(empty.start + 1, 0)
    return 1
---
def f(x):
    one = range(0, 5, 7)
    while one.step < 500_000: one = range(0, 5, one.step + 1)
    return 1
---
import math
def f(x):
    bits, place = [math.nan] * 18, 0
    while place < 18:
        place = 0
        while place < 18 and math.copysign(1, bits[place]) < 0:
            bits[place] = math.copysign(math.nan, 1)
            place += 1
        if place < 18: bits[place] = -math.nan
    return 1
"""


def sources(text: str) -> list[str]:
    return [source.strip("\n") for source in text.split("---\n")]


@pytest.mark.parametrize("source", sources(ENDLESS))
def test_who_goes_round_in_circles_is_proven_to(source: str) -> None:
    assert is_watchable(source, list(ast.walk(ast.parse(source))))
    assert outcome(source, 1) == "proven"


@pytest.mark.parametrize("source", sources(ENDING))
def test_who_comes_to_an_end_is_left_alone(source: str) -> None:
    assert outcome(source, 0, seconds=60) == 1


def test_who_never_is_where_it_was_is_not_proven_to_be_endless() -> None:
    for source in (
        "def f(x):\n    while True: x += 1",
        "import itertools\ndef f(x):\n    return next(d for d in itertools.count(1) if d < 0)",
        "def f(x):\n    def shares(): return x\n    while shares(): pass",  # which is not to be seen
        "def f(x):\n    seen = {1, 2}\n    while seen: x = 1",
    ):
        assert outcome(source, 1) == "running"


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # `explain` traces
@given(
    st.integers(2, 40),
    st.integers(0, 39),
    st.integers(0, 39),
    st.integers(0, 39),
    st.integers(0, 39),
    st.sampled_from(["x", "[x]", "(x, y)", "{x: y}", "[[x], [x]]"]),
)
def test_small_machines(modulus: int, factor: int, step: int, start: int, goal: int, shape: str) -> None:
    """x -> factor * x + step: what a direct search finds to end ends, and what does not is proven not to."""
    x, seen = start % modulus, set()
    while x != goal and x not in seen:
        seen.add(x)
        x = (factor * x + step) % modulus
    source = (
        f"def f(x):\n    y = 0\n    while x != {goal}:\n        y = {shape}\n        y = 0\n"
        f"        x = ({factor} * x + {step}) % {modulus}\n    return 'ended'"
    )
    assert outcome(source, start % modulus, seconds=30) == ("ended" if x == goal else "proven")


def look() -> Any:
    """The state of the caller, None where it is hidden."""
    try:
        return state_of(sys._getframe(1))
    except Hidden:
        return None


def states(*sources: str) -> list[Any]:
    """Of a frame in which each source has run."""
    found = []
    namespace: dict[str, Any] = {"look": look, "Counter": Counter, "deque": deque}
    exec(compile_source("def defaulting(value): return lambda x=value: x", FILENAME), namespace)
    for source in sources:
        indented = source.replace("\n", "\n    ")
        exec(compile_source(f"def f():\n    {indented}\n    return look()", FILENAME), namespace)
        found.append(namespace.pop("f")())  # no part of what it sees itself
    return found


@pytest.mark.parametrize(
    "source",
    [
        "a = [1, 'x', (None, 2.5)]\nb = {1: a}\nc = defaulting(a)",
        "a = Counter('aab')",
        "a = deque([1], 3)",
        "a = float('nan')\nb = [[]] * 2",
    ],
)
def test_equal_states_are_equal(source: str) -> None:
    first, second = states(source, source)
    assert first is not None and first == second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a = [0]\nb = [0]", "a = [0]\nb = a"),  # one object or two
        ("a = [[0], [0]]", "a = [[0]] * 2"),
        ("a = [0]\nb = [0]\nc = a", "a = [0]\nb = [0]\nc = b"),
        ("a = 1", "a = True"),
        ("a = 1", "a = 1.0"),
        ("a = 0.0", "a = -0.0"),
        ("a = (1,)", "a = [1]"),
        ("a = {1: 2, 3: 4}", "a = {3: 4, 1: 2}"),  # the order in which they come
        ("a = deque([1])", "a = deque([1], 3)"),
        ("a = Counter()", "a = {}"),
        ("a = [1, [2]]", "a = [[1], 2]"),
        ("a = 1", "a = 1\nb = 2"),
        ("a = defaulting([])", "a = defaulting([1])"),
        ("a = b = 1\ndel b", "b = 1"),
    ],
)
def test_what_a_program_can_tell_apart_is_different(one: str, other: str) -> None:
    first, second = states(one, other)
    assert None not in (first, second) and first != second


@pytest.mark.parametrize(
    "source",
    [
        "a = iter([1])",
        "a = {1}",
        "a = (x for x in [1])",
        "a = [1].pop",
        "a = map(int, [1])",
        "a = [0] * 1000\nb = list(range(1000, 3000))",  # too much to look at
        "b = 1\na = lambda: b",
        "a = ValueError()",
        "a = [[[{1: iter([])}]]]",
    ],
)
def test_what_hides_something_proves_nothing(source: str) -> None:
    assert states(source) == [None]


@pytest.mark.parametrize(
    ("source", "watchable"),
    [
        ("def f(x):\n    return x", False),
        ("def f(x):\n    while x: x -= 1", True),
        ("def f(x):\n    while x: f(x - 1)", False),
        ("def f(x):\n    while x: g(x)\ndef g(x): f(x)", False),
        ("def f(x):\n    while g(x): pass\ndef g(x): return x", True),
        ("def f(x):\n    g = lambda n: g(n)\n    while g(x): pass", False),
        ("def f(x):\n    while x: x -= 1\n#" + "." * 20_000, False),
        ("class A:\n    def g(self, kept=[]): kept.append(1)\ndef f(x):\n    while x: A().g()", False),
    ],
)
def test_what_might_lack_the_depth_is_not_looked_at(source: str, watchable: bool) -> None:
    assert is_watchable(source, list(ast.walk(ast.parse(source)))) is watchable


def test_a_proof_is_as_good_as_a_spent_budget(matrix: RunMatrix) -> None:
    """With hours of CPU time for every cell: no more is needed than it takes to see it."""
    limits = Limits(cpu_seconds=3600, cpu_multiple=0)
    programs = [*sources(ENDLESS)[:6], "def f(x): return x"]
    tests = ["assert f(1) == 1", "for n in (1, 2):\n    assert f(n) == n"]
    assert matrix(programs, tests, limits=limits) == [["TIMEOUT"] * 2] * 6 + [["PASS"] * 2]


def test_a_program_that_sends_what_a_proof_is_sent_by_is_late(matrix: RunMatrix) -> None:
    forged = "import os\ndef f(x):\n    os.write(3, b'\\x07\\x00\\x00\\x00[0,\"e\"]')\n    return x"
    got = matrix([forged, "def f(x): return x"], ["assert f(1) == 1", "assert f(2) == 2"])
    assert "PASS" not in got[0] and got[1] == ["PASS"] * 2


def test_what_is_endless_for_good_gets_no_second_round() -> None:
    job = as_job(["a", "b"], ["assert f(1)"])
    progress = Progress(job, Limits(cpu_multiple=1000), None, "")
    progress.write_rows([0, 1], [(True, [(1, 90_000)]), (False, [(4, FOR_GOOD)])])
    assert not progress.next_round()
