"""unittest's `self.assert...` methods -> the condition that each of them checks."""

from __future__ import annotations

import ast
from collections.abc import Sequence

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


def condition_of(method: str, arguments: Sequence[ast.expr]) -> ast.expr | None:
    """The condition that a `self.assert...` call checks; None for those that are not supported."""
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
        case "assertAlmostEqual", [left, right]:
            difference = ast.BinOp(left, ast.Sub(), right)
            rounded = ast.Call(ast.Name("round", ast.Load()), [difference, ast.Constant(7)], [])
            return ast.Compare(rounded, [ast.Eq()], [ast.Constant(0)])
        case "assertCountEqual", [left, right, *_]:
            ordered = [ast.Call(ast.Name("sorted", ast.Load()), [side], []) for side in (left, right)]
            return ast.Compare(ordered[0], [ast.Eq()], [ordered[1]])
    return None
