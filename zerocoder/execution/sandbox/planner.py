"""The process that reads sources without running them: which programs and tests are equal, which tests are literal.

Parsing hostile text can cost unbounded time or the interpreter's stack, so it happens in a confined process too; when
that dies, the worker goes on without a plan, and every program and test is compiled in its own sandbox.

A test whose statements are all assertions about one call with literal arguments (`assert f(1, [2]) == [3]`, and `!=`,
`is`, `<`, `in`, `not`, bare, either way round) becomes a list of calls and checks: the runner gets the calls, the
warden keeps the checks. Sources are equal when they compile to the same code, line numbers aside.
"""

from __future__ import annotations

import ast
import marshal
import types
from typing import Any

from . import codec
from .runner import compile_source
from .wire import FrameStream

TRUE, FALSE = "true", "false"
_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is", ast.IsNot: "is not", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">",
    ast.GtE: ">=", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_MIRRORED = {"==": "==", "!=": "!=", "is": "is", "is not": "is not", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_SINGLETONS = (None, True, False)

Call = tuple[tuple[Any, ...], dict[str, Any]]
Check = tuple[str, Any]  # operator and expected value


class _NotLiteral(Exception):
    """The test needs a judge."""


def serve(stream: FrameStream, output_bytes: int) -> None:
    """Answers one request and ends."""
    programs, tests, entry = marshal.loads(stream.read())
    stream.write(codec.to_bytes({"programs": _programs(programs), "tests": _tests(tests, entry)}))


def _programs(sources: list[str]) -> dict[str, list[Any]]:
    """For each source the index of the first equal one, or -1 when it does not compile; code by first index."""
    groups: list[int] = []
    codes: list[str | None] = []
    seen: dict[bytes, int] = {}
    for index, source in enumerate(sources):
        code = _compiled(source, "<solution>")
        group = -1 if code is None else seen.setdefault(_key(code), index)
        groups.append(group)
        codes.append(marshal.dumps(code).hex() if group == index else None)
    return {"groups": groups, "codes": codes}


def _tests(sources: list[str], entry: str) -> dict[str, list[Any]]:
    """As for programs; a plan is null for a judge, or the encoded calls and the encoded checks."""
    groups: list[int] = []
    plans: list[Any] = []
    seen: dict[bytes, int] = {}
    for index, source in enumerate(sources):
        code = _compiled(source, "<test>")
        group = -1 if code is None else seen.setdefault(_key(code), index)
        groups.append(group)
        plans.append(_plan(source, entry) if group == index else None)
    return {"groups": groups, "plans": plans}


def _compiled(source: str, filename: str) -> types.CodeType | None:
    try:
        return compile_source(source, filename)
    except Exception:  # SyntaxError, NUL bytes, lone surrogates, too deep: all the same to the caller
        return None


def _key(code: types.CodeType) -> bytes:
    """Equal for equal code. Version 2 of marshal writes no references, which depend on how objects are shared."""
    return marshal.dumps(_without_lines(code), 2)


def _without_lines(code: types.CodeType) -> types.CodeType:
    constants = tuple(_without_lines(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.replace(co_linetable=b"", co_firstlineno=1, co_filename="", co_consts=constants)


def _plan(source: str, entry: str) -> Any:
    try:
        calls: list[Call] = []
        checks: list[Check] = []
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue
            if not isinstance(statement, ast.Assert):
                raise _NotLiteral
            call, check = _assertion(statement.test, entry)
            calls.append(call)
            checks.append(check)
        if not calls:
            raise _NotLiteral
        written = codec.dumps(calls), codec.dumps(checks)
        codec.loads(
            written[0], rich=True
        )  # raises for what the runner would refuse, such as too long a number in a set
        codec.loads(written[1])
        return [part.decode("ascii") for part in written]
    except (_NotLiteral, codec.Unsupported, ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _assertion(test: ast.expr, entry: str) -> tuple[Call, Check]:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _call(test.operand, entry), (FALSE, None)
    if not isinstance(test, ast.Compare):
        return _call(test, entry), (TRUE, None)
    if len(test.ops) != 1:
        raise _NotLiteral
    operator, left, right = _OPERATORS[type(test.ops[0])], test.left, test.comparators[0]
    if not _is_call(left, entry):
        if operator not in _MIRRORED:
            raise _NotLiteral
        operator, left, right = _MIRRORED[operator], right, left
    expected = ast.literal_eval(right)
    if any(isinstance(node, ast.Constant) and _is_long(node.value) for node in ast.walk(right)):
        raise _NotLiteral
    if operator in ("is", "is not") and not any(expected is singleton for singleton in _SINGLETONS):
        raise _NotLiteral
    return _call(left, entry), (operator, expected)


def _is_long(constant: object) -> bool:
    """Whether comparing a Decimal to it takes long: the warden has no budget for that, a judge has one."""
    return isinstance(constant, int) and constant.bit_length() > codec.MAX_KEY_BITS


def _is_call(node: ast.expr, entry: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == entry


def _call(node: ast.expr, entry: str) -> Call:
    if not _is_call(node, entry) or not isinstance(node, ast.Call):
        raise _NotLiteral
    if any(keyword.arg is None for keyword in node.keywords):
        raise _NotLiteral
    args = tuple(ast.literal_eval(arg) for arg in node.args)
    kwargs = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
    return args, kwargs
