"""Which programs leave nothing behind in the process that runs them, so that another one may run there after them.

A sealed program is made of plain functions over plain values. It can change what it made itself and what it was given,
and those end with its namespace; modules, classes, frames and the interpreter's own state are out of its reach, and
nothing of it runs later than it is asked to (no class with a finaliser, no generator that could do something when it is
collected). All of that is decided by what a source does not contain: whatever is not on the lists below, for a good
reason or for none, makes a program one that gets a process of its own.

This keeps programs of one problem apart from each other and nothing else: sealed or not, a program runs behind the same
isolation and learns no expected value.
"""

from __future__ import annotations

import ast
import builtins
import collections
import re
import string
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

# Whatever consists of such parts is as harmless as they are.
_TRANSPARENT = """
    Module Return Delete Assign AugAssign For While If Raise Assert Expr Pass Break Continue Global Nonlocal arguments
    keyword alias comprehension ExceptHandler Import ImportFrom
    BoolOp NamedExpr BinOp UnaryOp Lambda IfExp Dict Set ListComp SetComp DictComp GeneratorExp Yield YieldFrom
    FormattedValue JoinedStr Constant Subscript Starred List Tuple Slice
"""
_TRANSPARENT_NODES = tuple(getattr(ast, name) for name in _TRANSPARENT.split())
_SYMBOLS = (ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop)

_FUNCTIONS = """
    abs all any ascii bin bool bytearray bytes callable chr complex dict divmod enumerate filter float format frozenset
    hash hex int isinstance issubclass iter len list map max min next oct ord pow print range repr reversed round set
    slice sorted str sum tuple zip
"""
_BUILTINS = frozenset(dir(builtins))
_ERRORS = {
    name for name in _BUILTINS if isinstance(kind := getattr(builtins, name), type) and issubclass(kind, Exception)
}
_FREE_BUILTINS = frozenset({*_FUNCTIONS.split(), *_ERRORS, "NotImplemented", "Ellipsis"})

# Modules of functions that keep nothing, and classes that cannot be changed without setting an attribute.
_MODULES: dict[str, frozenset[str]] = {
    name: frozenset(names.split())
    for name, names in {
        "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
        "collections": "Counter OrderedDict defaultdict deque",
        "copy": "copy deepcopy",
        "fractions": "Fraction",
        "functools": "cache cmp_to_key lru_cache partial reduce",
        "heapq": "heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest",
        "itertools": """
            accumulate chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse
            groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest
        """,
        "math": """
            acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp exp2
            expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm ldexp
            lgamma log log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt tan tanh
            tau trunc ulp
        """,
        "operator": """
            abs add and_ concat contains eq floordiv ge getitem gt invert itemgetter le lshift lt mod mul ne neg not_
            or_ pos pow rshift sub truediv truth xor
        """,
        "re": """
            A ASCII DOTALL I IGNORECASE M MULTILINE S VERBOSE X compile escape findall finditer fullmatch match search
            split sub subn
        """,
        "string": """
            ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits printable punctuation whitespace
        """,
    }.items()
}
_STARRED = ("bisect", "heapq", "itertools", "math")  # `from x import *` brings nothing that is not listed, or is new
_ANNOTATIONS = """
    Any Callable Collection DefaultDict Deque Dict Final FrozenSet Generator Hashable Iterable Iterator List Mapping
    MutableMapping MutableSequence NoReturn Optional Sequence Set Sized Text Tuple Type Union
"""
_TYPING = frozenset(_ANNOTATIONS.split())
_ANNOTATING = (ast.Name, ast.Subscript, ast.Tuple, ast.List, ast.BinOp, ast.BitOr, ast.Load)

_VALUES = (str, bytes, bytearray, list, tuple, dict, set, frozenset, int, float, complex, range, Fraction)
_CONTAINERS = (collections.deque, collections.Counter, collections.OrderedDict, collections.defaultdict)
_READ_BY_NAME = ("format", "format_map")  # they look attributes up
_BY_CODEC = ("encode", "decode")  # they load modules
_CODECS = ("ascii", "latin-1", "utf-8", "utf8")
_METHODS = frozenset(
    {
        name
        for kind in (*_VALUES, *_CONTAINERS, re.Pattern, re.Match)
        for name in dir(kind)
        if not name.startswith("_") and name not in (*_READ_BY_NAME, *_BY_CODEC)
    }
    | {"args", "cache_clear", "cache_info", "from_iterable"}
)


_PLAIN_FIELD = re.compile(r"\w*")  # of a format string: a position or a name, and nothing of it


def is_sealed(tree: ast.Module) -> bool:
    """Whether a program leaves nothing behind. Takes the parsed source and runs none of it."""
    names = _Names()
    return names.take_in(tree) and _Reading(names).harmless(tree)


class _Names:
    """What the names of a program stand for, whatever the scope: one that is two things makes a program unsealed."""

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}  # by the name that an import gives them
        self.types: set[str] = set()  # from typing
        self.others: set[str] = set()

    def take_in(self, tree: ast.Module) -> bool:
        """False where a name is more than one of these, hidden, or of something that may not be imported."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                taken = all(self._module(alias.name, alias.asname or alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                taken = not node.level and self._members(node.module or "", node.names)
            else:
                self.others.update(_bound(node))
                continue
            if not taken:
                return False
        hidden = any(name.startswith("__") for name in (*self.modules, *self.types, *self.others))
        return not (hidden or self.others & (self.modules.keys() | self.types) or self.modules.keys() & self.types)

    def _module(self, name: str, alias: str) -> bool:
        return (name in _MODULES or name == "typing") and self.modules.setdefault(alias, name) == name

    def _members(self, module: str, aliases: list[ast.alias]) -> bool:
        names = [alias.name for alias in aliases]
        bound = [alias.asname or alias.name for alias in aliases]
        if module == "__future__":
            return names == ["annotations"]
        if module == "typing":
            self.types.update(bound)
            return _TYPING.issuperset(names)
        if names == ["*"]:
            return module in _STARRED
        self.others.update(bound)
        return _MODULES.get(module, frozenset()).issuperset(names)


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a node binds, imports aside, or declares to be of another scope."""
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.ExceptHandler):
        if node.name is not None:
            yield node.name
    elif isinstance(node, (ast.Global, ast.Nonlocal)):
        yield from node.names


class _Reading:
    """Looks at every node once, from the outside in."""

    def __init__(self, names: _Names) -> None:
        self._names = names
        self._rules: dict[type[ast.AST], Callable[[Any], bool]] = {
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.Compare: self._compare,
            ast.Try: self._try,
            ast.FunctionDef: self._function,
            ast.arg: self._argument,
            ast.AnnAssign: self._annotated,
        }

    def harmless(self, node: ast.AST) -> bool:
        """Whether nothing that a node does lasts."""
        if (rule := self._rules.get(type(node))) is not None:
            return rule(node)
        if isinstance(node, _TRANSPARENT_NODES):
            return all(map(self.harmless, ast.iter_child_nodes(node)))
        return isinstance(node, _SYMBOLS)

    def _name(self, node: ast.Name) -> bool:
        name = node.id
        if name in self._names.modules or name in self._names.types:
            return False  # but in front of a dot, or in an annotation
        return name in _FREE_BUILTINS or name == "__name__" or not (name in _BUILTINS or name.startswith("__"))

    def _attribute(self, node: ast.Attribute) -> bool:
        if not isinstance(node.ctx, ast.Load):
            return False
        if (module := self._module_named(node.value)) is not None:
            return node.attr in _MODULES.get(module, ())
        return node.attr in _METHODS and self.harmless(node.value)

    def _module_named(self, node: ast.expr) -> str | None:
        return self._names.modules.get(node.id) if isinstance(node, ast.Name) else None

    def _call(self, node: ast.Call) -> bool:
        function = node.func
        if not isinstance(function, ast.Attribute) or function.attr not in (*_READ_BY_NAME, *_BY_CODEC):
            return all(map(self.harmless, ast.iter_child_nodes(node)))
        given = all(map(self.harmless, (*node.args, *node.keywords)))
        if function.attr in _BY_CODEC:
            named = all(isinstance(arg, ast.Constant) and arg.value in _CODECS for arg in node.args)
            return named and not node.keywords and self.harmless(function.value)
        return given and function.attr == "format" and _reads_nothing(function.value)

    def _compare(self, node: ast.Compare) -> bool:
        """With `type(x)` among what is compared: anywhere else, the type of a type makes classes."""
        operands = [_typed(operand) or operand for operand in (node.left, *node.comparators)]
        return all(map(self.harmless, operands))

    def _try(self, node: ast.Try) -> bool:
        """Without a yield: a generator that is collected is ended by an exception, whenever that is."""
        yields = any(isinstance(part, (ast.Yield, ast.YieldFrom)) for part in ast.walk(node))
        return not yields and all(map(self.harmless, ast.iter_child_nodes(node)))

    def _function(self, node: ast.FunctionDef) -> bool:
        parts = (node.args, *node.body, *node.decorator_list, *getattr(node, "type_params", ()))
        return self._annotation(node.returns) and all(map(self.harmless, parts))

    def _argument(self, node: ast.arg) -> bool:
        return self._annotation(node.annotation)

    def _annotated(self, node: ast.AnnAssign) -> bool:
        value = node.value is None or self.harmless(node.value)
        return value and self.harmless(node.target) and self._annotation(node.annotation)

    def _annotation(self, node: ast.expr | None) -> bool:
        """Nothing, a text, or types: `typing` may keep what it is given."""
        if node is None or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            return True
        return all(map(self._of_types, ast.walk(node)))

    def _of_types(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            known = node.id in self._names.types or self._names.modules.get(node.id) == "typing"
            return known or (node.id in _FREE_BUILTINS and node.id not in self._names.others)
        if isinstance(node, ast.Attribute):
            return self._module_named(node.value) == "typing" and node.attr in _TYPING
        if isinstance(node, ast.Constant):
            return node.value is None or node.value is ...
        return isinstance(node, _ANNOTATING)


def _typed(node: ast.expr) -> ast.expr | None:
    """The x of `type(x)`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type":
        return node.args[0] if len(node.args) == 1 and not node.keywords else None
    return None


def _reads_nothing(node: ast.expr) -> bool:
    """Whether a format string is a constant and looks no attribute or item up."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return False
    try:
        fields = [(name, spec) for _, name, spec, _ in string.Formatter().parse(node.value) if name is not None]
    except ValueError:
        return True  # no format string at all
    return all(_PLAIN_FIELD.fullmatch(name) and "{" not in (spec or "") for name, spec in fields)
