"""All nodes of a syntax tree, for what decides by what a source does not contain."""

from __future__ import annotations

import ast

_LEAVES = {ast.Name, ast.Constant}  # most of all nodes: nothing is in them but how they are used
_NO_NODES = (
    "arg asname attr conversion ctx id is_async kind kwd_attrs level module name op ops rest simple type_comment"
)
_HOLDING_NONE = frozenset(_NO_NODES.split())
"""Fields of nodes in which no other node is, or one that only says how a node is used (its context, an operator)."""
_FIELDS = {
    kind: tuple(name for name in kind._fields if name not in _HOLDING_NONE or kind.__name__ == "TypeAlias")
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}


def all_nodes(tree: ast.AST) -> list[ast.AST]:
    """What `ast.walk` yields, sooner, but for what only says how a node is used (its context, an operator)."""
    nodes: list[ast.AST] = [tree]
    for node in nodes:
        kind = type(node)
        if kind in _LEAVES:
            continue
        for name in _FIELDS[kind]:
            value = getattr(node, name, None)
            if type(value) is list:
                nodes += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                nodes.append(value)
    return nodes
