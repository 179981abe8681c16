"""Tests as the testing libraries word them -> the conditions that they check.

`unittest`'s `self.assert...` methods, `pytest.approx` and `pytest.mark.parametrize`; methods of a `Solution` object,
which tests of LeetCode-style problems call, become calls of the function. All of it works on syntax trees.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence

from zerocoder.syntax import nodes_of

_COMPARISONS: dict[str, type[ast.cmpop]] = {
    **dict.fromkeys(("assertEqual", "assertEquals", "assertListEqual", "assertDictEqual"), ast.Eq),
    **dict.fromkeys(("assertTupleEqual", "assertSetEqual", "assertSequenceEqual", "assertMultiLineEqual"), ast.Eq),
    "assertNotEqual": ast.NotEq,
    "assertIs": ast.Is,
    "assertIsNot": ast.IsNot,
    "assertIn": ast.In,
    "assertNotIn": ast.NotIn,
    "assertGreater": ast.Gt,
    "assertGreaterEqual": ast.GtE,
    "assertLess": ast.Lt,
    "assertLessEqual": ast.LtE,
}
SOLUTION = "Solution"
"""The class that LeetCode's starter codes put the function into."""


def condition_of(
    method: str, arguments: Sequence[ast.expr], keywords: Mapping[str, ast.expr] | None = None
) -> ast.expr | None:
    """The condition that a `self.assert...` call checks; None for those that are not supported."""
    keywords = keywords or {}
    match method, arguments:
        case _, [left, right, *_] if method in _COMPARISONS:
            return ast.Compare(left, [_COMPARISONS[method]()], [right])
        case "assertTrue", [value, *_]:
            return value
        case "assertFalse", [value, *_]:
            return ast.UnaryOp(ast.Not(), value)
        case "assertIsNone", [value, *_]:
            return ast.Compare(value, [ast.Is()], [ast.Constant(None)])
        case "assertIsNotNone", [value, *_]:
            return ast.Compare(value, [ast.IsNot()], [ast.Constant(None)])
        case "assertIsInstance", [value, kind, *_]:
            return _call("isinstance", value, kind)
        case (("assertAlmostEqual" | "assertAlmostEquals"), [left, right, *places]):
            return _almost_equal(left, right, keywords.get("places", places[0] if places else None), keywords)
        case "assertCountEqual", [left, right, *_]:
            return ast.Compare(_call("sorted", left), [ast.Eq()], [_call("sorted", right)])
    return None


def _almost_equal(
    left: ast.expr, right: ast.expr, places: ast.expr | None, keywords: Mapping[str, ast.expr]
) -> ast.expr:
    difference = ast.BinOp(left, ast.Sub(), right)
    if "delta" in keywords:
        return ast.Compare(_call("abs", difference), [ast.LtE()], [keywords["delta"]])
    return ast.Compare(_call("round", difference, places or ast.Constant(7)), [ast.Eq()], [ast.Constant(0)])


def loop_of(function: ast.FunctionDef) -> ast.For | None:
    """`@pytest.mark.parametrize("x, y", rows)` on a function as a loop over the rows; None for any other function."""
    match function.decorator_list:
        case [ast.Call(func=ast.Attribute(attr="parametrize"), args=[ast.Constant(value=str(names)), rows])]:
            given = [name.strip() for name in names.split(",")]
        case [ast.Call(func=ast.Attribute(attr="parametrize"), args=[ast.List(elts=e) | ast.Tuple(elts=e), rows])]:
            given = [item.value for item in e if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        case _:
            return None
    if given != [argument.arg for argument in function.args.args if argument.arg != "self"]:
        return None
    targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in given]
    target = targets[0] if len(targets) == 1 else ast.Tuple(targets, ast.Store())
    return ast.For(target, rows, function.body, [])


def in_plain_words(tree: ast.Module, entry_point: str) -> ast.Module:
    """The tree with `Solution().f`, for `f` the entry point, as `f`, and comparisons with `approx(...)` written out.

    Objects may have a name: `s = Solution()`, or `self.s = Solution()` as in a `setUp`.
    """
    nodes = nodes_of(tree)
    assigns = [node for node in nodes if isinstance(node, ast.Assign) and _is_object(node.value)]
    made = Counter(_name_of(target) for node in assigns for target in node.targets)
    stores = [node for node in nodes if isinstance(getattr(node, "ctx", None), ast.Store)]
    bound = Counter(map(_name_of, stores))
    objects = frozenset(name for name, times in made.items() if name and times == bound[name])
    plain: ast.Module = _PlainWords(entry_point, objects).visit(tree)
    return ast.fix_missing_locations(plain)


class _PlainWords(ast.NodeTransformer):
    def __init__(self, entry_point: str, objects: frozenset[str]) -> None:
        self._entry_point = entry_point
        self._objects = objects

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if node.attr == self._entry_point and (_is_object(node.value) or self._is_named(node.value)):
            return ast.Name(self._entry_point, ast.Load())
        self.generic_visit(node)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        if _is_object(node.value) and all(map(self._is_named, node.targets)):
            return ast.Pass()
        self.generic_visit(node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Call() as call]) if _is_approx(call):
                return _close(left, call)
            case ast.Compare(left=ast.Call() as call, ops=[ast.Eq()], comparators=[right]) if _is_approx(call):
                return _close(right, call)
        return node

    def _is_named(self, node: ast.expr) -> bool:
        return _name_of(node) in self._objects


def _name_of(node: ast.AST) -> str:
    """`name` or `name.attribute`; empty for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            return f"{name}.{attribute}"
    return ""


def _is_object(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]):
            return name == SOLUTION
    return False


def _is_approx(call: ast.Call) -> bool:
    match call:
        case ast.Call(func=ast.Name(id="approx") | ast.Attribute(attr="approx"), args=[_, *_]):
            return True
    return False


def _close(value: ast.expr, call: ast.Call) -> ast.expr:
    """`value == approx(expected, rel=1e-6, abs=1e-12)` for numbers; `abs` alone switches the relative part off."""
    given = dict(zip(("rel", "abs"), call.args[1:], strict=False)) | {k.arg: k.value for k in call.keywords if k.arg}
    expected = call.args[0]
    relative = ast.BinOp(given.get("rel", ast.Constant(1e-06)), ast.Mult(), _call("abs", expected))
    absolute = given.get("abs", ast.Constant(1e-12))
    tolerance = absolute if "abs" in given and "rel" not in given else _call("max", relative, absolute)
    difference = _call("abs", ast.BinOp(value, ast.Sub(), expected))
    return ast.Compare(difference, [ast.LtE()], [tolerance])


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
