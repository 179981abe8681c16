"""The process that reads sources without running them: which programs and tests are equal, which tests are literal.

Parsing hostile text can cost unbounded time or the interpreter's stack, so it happens in a confined process too; when
that dies, the worker goes on without a plan, and every program and test is compiled in its own sandbox.

A test that is a straight line of assertions becomes a list of calls and checks (translation.py): the runner gets the
calls, the warden keeps the checks. Such tests are equal when these are; other sources when they compile to the same
code, line numbers aside. Programs that leave nothing behind (sealed.py) may share a runner.
"""

from __future__ import annotations

import ast
import marshal
import types
from typing import Any

from . import codec
from .endless import FILENAME, is_watchable
from .nodes import all_nodes
from .parts import marshalled
from .runner import compile_source
from .sealed import is_sealed
from .translation import NotTranslated, translate
from .wire import FrameStream

_NO_NAME = "__debug__"  # what the compiler, and nothing before it, refuses as the name of a variable


def serve(stream: FrameStream, output_bytes: int) -> None:
    """Answers requests until it is killed."""
    while True:
        programs, tests, entry = marshal.loads(stream.read())
        stream.write(codec.to_bytes({"programs": _programs(programs), "tests": _tests(tests, entry)}))


def _programs(sources: list[str]) -> dict[str, list[Any]]:
    """For each source the index of the first equal one, or -1 when it does not compile; by first index the code,
    whether it is sealed, and whether it then can be watched.
    """
    groups: list[int] = []
    codes: list[str | None] = []
    sealed: list[bool] = []
    watched: list[bool] = []
    seen: dict[bytes, int] = {}
    for index, source in enumerate(sources):
        tree = _parsed(source)
        code = _compiled(tree, FILENAME)
        group = -1 if code is None else seen.setdefault(code_key(code), index)
        groups.append(group)
        codes.append(marshal.dumps(code).hex() if group == index else None)
        nodes = _sealed_nodes(tree) if group == index else None
        sealed.append(nodes is not None)
        watched.append(nodes is not None and is_watchable(source, nodes))
    return {"groups": groups, "codes": codes, "sealed": sealed, "watched": watched}


def _tests(sources: list[str], entry: str) -> dict[str, list[Any]]:
    """As for programs; a plan is the encoded calls and checks, or for a judge whether the test is sealed."""
    groups: list[int] = []
    plans: list[Any] = []
    seen: dict[bytes | tuple[str, ...], int] = {}
    for index, source in enumerate(sources):
        tree = _parsed(source)
        plan = _plan(tree, entry) if _NO_NAME not in source else None
        key: bytes | tuple[str, ...] | None = None
        if plan is not None:
            key = tuple(plan)
        elif (code := _compiled(tree, "<test>")) is not None:
            key = code_key(code)
        group = -1 if key is None else seen.setdefault(key, index)
        groups.append(group)
        plans.append((plan or _sealed_nodes(tree) is not None) if group == index else None)
    return {"groups": groups, "plans": plans}


def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except Exception:  # SyntaxError, NUL bytes, lone surrogates, too deep: all the same to the caller
        return None


def _compiled(tree: ast.Module | None, filename: str) -> types.CodeType | None:
    try:
        return None if tree is None else compile_source(tree, filename)
    except Exception:
        return None


def _sealed_nodes(tree: ast.Module | None) -> list[ast.AST] | None:
    """All nodes of what is parsed, if it is sealed."""
    if tree is None:
        return None
    nodes = all_nodes(tree)
    return nodes if is_sealed(nodes) else None


def code_key(code: types.CodeType) -> bytes:
    """Equal for equal code. Version 2 of marshal writes no references, which depend on how objects are shared."""
    return marshal.dumps(_without_lines(code), 2)


def _without_lines(code: types.CodeType) -> types.CodeType:
    constants = tuple(_without_lines(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.replace(co_linetable=b"", co_firstlineno=1, co_filename="", co_consts=constants)


def _plan(tree: ast.Module | None, entry: str) -> list[str] | None:
    """The calls, marshalled, in hexadecimal digits, and the checks as the codec writes them."""
    if tree is None:
        return None
    try:
        calls, checks = translate(tree, entry)
        written, encoded = marshalled(calls), codec.dumps(checks)
    except (NotTranslated, codec.Unsupported, ValueError):
        return None
    return [written.hex(), encoded.decode("ascii")]
