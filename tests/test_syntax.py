"""Parsing by several threads at once, as a step's problems are assessed."""

import ast
import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from zerocoder.syntax import checked_module, parse

SOURCE = "\n".join(
    f"def f{i}(a, b):\n    return [x for x in (a, b) if (a + b) * {i} > x - (b / 3)]" for i in range(120)
)


@pytest.fixture
def interrupted_parsing() -> Iterator[None]:
    """Threads take turns as often as can be, also in the middle of a tree, where the garbage collector calls Python."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    gc.callbacks.append(_collected)
    yield
    gc.callbacks.remove(_collected)
    sys.setswitchinterval(interval)


def _collected(phase: str, info: dict[str, int]) -> None:
    sum(range(50))


@pytest.mark.usefixtures("interrupted_parsing")
@pytest.mark.parametrize("function", [parse, checked_module])
def test_threads_parse_at_the_same_time(function) -> None:
    with ThreadPoolExecutor(4) as threads:
        trees = list(threads.map(function, [SOURCE] * 60))
    assert {ast.dump(tree) for tree in trees} == {ast.dump(ast.parse(SOURCE))}
