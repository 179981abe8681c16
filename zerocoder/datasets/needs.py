"""What the official tests of a data set need beside the function they call, and how they are put for the verifier.

Published tests run in the module of the reference: they find its helpers, constants, imports and classes there. The
verifier runs tests apart from the program, so what they refer to is written in front of them. A class whose instances
are passed to the function becomes a data class, because only those cross from one process to another.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from dataclasses import dataclass

from zerocoder.asserts import bound_names, loaded_names
from zerocoder.datasets.base import UnusableRowError, parse_python

_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__"}
_SHOWN_METHODS = frozenset({"__init__", "__repr__", "__str__"})
_PLAIN_BASES = frozenset({"NamedTuple", "Enum", "IntEnum", "StrEnum"})
_DATACLASS = "from dataclasses import dataclass"
_Definition = ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign


@dataclass(frozen=True, slots=True)
class Needs:
    """Statements of a module that some tests refer to, in their order.

    code: their source; empty or ending in a line end.
    classes: the source of those that are classes, to be shown to whoever writes the function.
    """

    code: str
    classes: tuple[tuple[str, str], ...]

    @property
    def shown_classes(self) -> str:
        """The classes as a module; empty where there are none."""
        return "\n\n\n".join([_DATACLASS, *(code for _, code in self.classes)]) if self.classes else ""

    def signature(self, line: str) -> str:
        """What is shown of a function with this `def` line: first the classes that it is called with."""
        return f"{self.shown_classes}\n\n\n{line}" if self.classes else line

    def in_place(self, source: str) -> str:
        """A module with its classes in the form of `classes`."""
        shown = dict(self.classes)
        lines = source.split("\n")
        for node in reversed(parse_python(source).body):
            if isinstance(node, ast.ClassDef) and node.name in shown:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                lines[first - 1 : node.end_lineno] = shown[node.name].split("\n")
        text = "\n".join(lines)
        return f"{_DATACLASS}\n\n{text}" if shown else text


def needs_of(tests: str, entry_point: str, source: str) -> Needs:
    """What `tests` of `entry_point` need of the module `source`, directly or by way of its other definitions.

    >>> needs_of("assert area(2) == 4 * PI", "area", "import math\\nPI = math.pi\\ndef area(r): return PI * r * r").code
    'import math\\nPI = math.pi\\n'

    Raises:
        UnusableRowError: a name that neither of them defines, or a class with behaviour.
    """
    definitions = [s for s in parse_python(source).body if isinstance(s, _Definition)]
    kept: set[int] = set()
    todo = foreign_names(parse_python(tests)) - {entry_point}
    found: set[str] = set()
    while todo - found:
        name = (todo - found).pop()
        places = [i for i, s in enumerate(definitions) if name in bound_at_top(s)]
        if not places:
            raise UnusableRowError("the tests use a name that neither they nor the reference define")
        kept.update(places)
        found.add(name)
        for place in places:
            todo |= foreign_names(definitions[place]) - {entry_point}
    chosen = [_portable(definitions[i]) for i in sorted(kept)]
    classes = [(s.name, ast.unparse(s)) for s in chosen if isinstance(s, ast.ClassDef)]
    head = f"{_DATACLASS}\n" if classes else ""
    return Needs(head + "".join(f"{ast.unparse(s)}\n" for s in chosen), tuple(classes))


def called_functions(tests: str, source: str) -> list[str]:
    """Functions that `source` defines at its top level and `tests` call, outer calls before their arguments."""
    defined = {s.name for s in parse_python(source).body if isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef)}
    calls = [
        n.func.id for n in ast.walk(parse_python(tests)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    ]
    return [name for name in dict.fromkeys(calls) if name in defined]


def foreign_names(tree: ast.AST) -> set[str]:
    """Names that a tree refers to but neither binds nor finds among Python's own."""
    return loaded_names(tree) - bound_names(tree) - _BUILTINS


def straight(function: ast.FunctionDef, taken: set[str]) -> list[ast.stmt] | None:
    """The body of a function as statements of a module that do the same.

    None where it cannot stand there: it returns, yields, or binds one of the `taken` names of the module or of Python's
    own, which helpers beside it rely on.
    """
    for node in ast.walk(function):
        if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom | ast.Await | ast.Global | ast.Nonlocal):
            return None
    body: Sequence[ast.stmt] = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    if any(bound_names(statement) & (taken | _BUILTINS) for statement in body):
        return None
    return list(body)


def bound_at_top(statement: ast.stmt) -> set[str]:
    """The names that a definition gives to its module."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign):
        return {n.id for t in statement.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    if isinstance(statement, ast.AnnAssign):
        return bound_names(statement.target)
    return bound_names(statement)


def _portable(statement: ast.stmt) -> ast.stmt:
    """The statement, a class of plain attributes as a data class with the same constructor and identity."""
    if not isinstance(statement, ast.ClassDef) or _is_data(statement):
        return statement
    methods = {s.name: s for s in statement.body if isinstance(s, ast.FunctionDef)}
    constructor = methods.get("__init__")
    rest = [s for s in statement.body if not isinstance(s, ast.FunctionDef) and not _is_text(s)]
    plain = not statement.decorator_list and not statement.keywords
    plain = plain and all(ast.unparse(base) == "object" for base in statement.bases)
    if constructor is None or not plain or methods.keys() - _SHOWN_METHODS or rest:
        raise UnusableRowError("the tests use a class of the reference that is more than its attributes")
    stored = [
        node.attr
        for node in ast.walk(constructor)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    ]
    fields = "\n".join(f"    {name}: object" for name in dict.fromkeys(stored))
    head = f"@dataclass(init=False, eq=False)\nclass {statement.name}:\n{fields}\n"
    portable = ast.parse(head).body[0] if stored else None
    if not isinstance(portable, ast.ClassDef):
        raise UnusableRowError("the tests use a class of the reference that is more than its attributes")
    portable.body += statement.body
    return portable


def _is_data(statement: ast.ClassDef) -> bool:
    """Whether instances of a class cross as they are: data classes without methods, named tuples, enumerations."""
    decorators = {ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in statement.decorator_list}
    bases = {ast.unparse(base).rpartition(".")[2] for base in statement.bases}
    known = decorators and decorators <= {"dataclass", "dataclasses.dataclass"}
    known = known or (bool(bases) and bases <= _PLAIN_BASES)
    return bool(known) and not any(isinstance(s, ast.FunctionDef) for s in statement.body)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
