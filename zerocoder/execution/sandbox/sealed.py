"""Which programs leave nothing behind in the process that runs them, so that another one may run there after them.

A sealed program is made of plain functions over plain values, and of classes that are no more than that. It can change
what it made itself and what it was given, and those end with its namespace; modules, others' classes, frames and the
interpreter's own state are out of its reach, and nothing of it runs later than it is asked to (no class with a
finaliser, no generator that could do something when it is collected). All of that is decided by what a source does not
contain: whatever is not on the lists below, for a good reason or for none, makes a program one that gets a process of
its own.

A class is called by its name and is nothing else to a program, so a method gets an instance of its own class as its
first argument; attributes are set on that alone. No other attribute is read than the listed ones, and those that
nothing has but instances of such classes. Whatever could call a method on anything else would undo that, as a copy with
a record of what is copied already, kept by the program, does: `copy` is for calls with one argument.

Importing what is not there, as programs do that expect more to be installed, raises and binds no name, so it is as if
it were not written. Whether it is there is asked where the program will run.

This keeps programs of one problem apart from each other and nothing else: sealed or not, a program runs behind the same
isolation and learns no expected value.
"""

from __future__ import annotations

import ast
import builtins
import collections
import functools
import importlib
import importlib.util
import re
import string
import types
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from .nodes import all_nodes

# Whatever consists of such parts is as harmless as they are.
_TRANSPARENT = """
    Module Return Delete Assign AugAssign For While If Raise Assert Expr Pass Break Continue Global Nonlocal arguments
    keyword alias comprehension ExceptHandler Import ImportFrom
    BoolOp NamedExpr BinOp UnaryOp Lambda IfExp Dict Set ListComp SetComp DictComp GeneratorExp Yield
    FormattedValue JoinedStr Constant Subscript Starred List Tuple Slice
"""
# And these, where a rule says so.
_RULED = "Name Attribute Call Compare Try YieldFrom FunctionDef ClassDef arg AnnAssign"
PROGRAM_MODULE, TEST_MODULE = "solution", "test"
"""What the namespaces of a program and of a test are registered as."""
_KNOWN = frozenset(getattr(ast, name) for name in (_TRANSPARENT + _RULED).split())
_BINDING = (ast.arg, ast.FunctionDef, ast.ExceptHandler, ast.Global, ast.Nonlocal)
_LITERAL = (ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp)

# What a class may answer to, all of it when it is asked to.
_ASKED = "init repr str bool len contains getitem setitem iter next call eq ne lt le gt ge hash add sub mul neg"
_SPECIAL_METHODS = frozenset(f"__{name}__" for name in _ASKED.split())

_FUNCTIONS = """
    abs all any ascii bin bool bytearray bytes callable chr complex dict divmod enumerate filter float format frozenset
    hash hex input int isinstance issubclass iter len list map max min next oct ord pow print range repr reversed round
    set slice sorted str sum tuple zip
"""
# There is nothing to be had from `input`: standard input is empty.
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
        "statistics": """
            StatisticsError fmean geometric_mean harmonic_mean mean median median_grouped median_high median_low mode
            multimode pstdev pvariance quantiles stdev variance
        """,
        "string": """
            ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits printable punctuation whitespace
        """,
    }.items()
}
_COPYING = "copy"
_MAX_MISSING = 16  # packages that are looked for: each takes some system calls
_STARRED = ("bisect", "heapq", "itertools", "math")  # `from x import *` brings nothing that is not listed, or is new
_ANNOTATIONS = """
    Any Callable Collection DefaultDict Deque Dict Final FrozenSet Generator Hashable Iterable Iterator List Mapping
    MutableMapping MutableSequence NoReturn Optional Sequence Set Sized Text Tuple Type Union
"""
_TYPING = frozenset(_ANNOTATIONS.split())
_ANNOTATING = (ast.Name, ast.Subscript, ast.Tuple, ast.List, ast.BinOp, ast.BitOr, ast.Load)

_VALUES = (str, bytes, bytearray, list, tuple, dict, set, frozenset, int, float, complex, range, Fraction)
_CONTAINERS = (collections.deque, collections.Counter, collections.OrderedDict, collections.defaultdict)
_BY_NAME = ("format", "format_map")  # they look attributes up
_BY_CODEC = ("encode", "decode")  # they load modules
_CODECS = ("ascii", "latin-1", "utf-8", "utf8")
_METHODS = frozenset(
    {
        name
        for kind in (*_VALUES, *_CONTAINERS, re.Pattern, re.Match)
        for name in dir(kind)
        if not name.startswith("_") and name not in (*_BY_NAME, *_BY_CODEC)
    }
    | {"args", "cache_clear", "cache_info", "from_iterable"}
)


_DATA = {"name", "value", "start", "end", "text"}  # of exceptions


def _of_others() -> frozenset[str]:
    """The attributes of whatever a program might come by, but for what is listed and what is but data."""
    listed = [getattr(importlib.import_module(module), name, None) for module in _MODULES for name in _MODULES[module]]
    found = [*listed, *vars(builtins).values(), *vars(types).values(), functools.lru_cache(repr), re.finditer("", "")]
    found += [functools.cmp_to_key(max)(1), functools.lru_cache(repr).cache_info()]
    found += [iter([]), iter({}), {}.items(), iter(int, 1)]
    names = {name for value in found for owner in (value, type(value)) for name in dir(owner)}
    return frozenset(names - _METHODS - _DATA)


_OF_OTHERS = _of_others()
_PLAIN_FIELD = re.compile(r"\w*")  # of a format string: a position or a name, and nothing of it


def is_sealed(nodes: Sequence[ast.AST]) -> bool:
    """Whether a program leaves nothing behind. Takes `all_nodes` of the parsed source and runs none of it."""
    if not _KNOWN.issuperset(map(type, nodes)):
        return False
    kinds: dict[type[ast.AST], list[Any]] = {}
    for node in nodes:
        kinds.setdefault(type(node), []).append(node)
    names = _Names()
    return names.take_in(kinds) and _Reading(names).harmless(kinds)


class _Names:
    """What the names of a program stand for, whatever the scope: one that is two things makes a program unsealed."""

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}  # by the name that an import gives them
        self.types: set[str] = set()  # from typing
        self.copying: set[str] = set()  # functions of the module `copy`
        self.classes: set[str] = set()
        self.selves: set[str] = set()  # what methods call the instance they were called on
        self.others: set[str] = set()
        self._unknown: set[str] = set()  # packages that are to be missing

    def take_in(self, kinds: Mapping[type[ast.AST], Sequence[Any]]) -> bool:
        """False where a name is more than one of these, hidden, or of something that may not be imported."""
        for node in kinds.get(ast.Import, ()):
            if not all(self._module(alias.name, alias.asname or alias.name) for alias in node.names):
                return False
        for node in kinds.get(ast.ImportFrom, ()):
            if node.level or not self._members(node.module or "", node.names):
                return False
        known: set[ast.AST] = set()
        for node in kinds.get(ast.ClassDef, ()):
            self.classes.add(node.name)
            for method in (part for part in node.body if isinstance(part, ast.FunctionDef)):
                if not (positional := method.args.posonlyargs + method.args.args):
                    return False
                self.selves.add(positional[0].arg)
                known.add(positional[0])
                if method.name in _SPECIAL_METHODS:
                    known.add(method)
        self.others.update(node.id for node in kinds.get(ast.Name, ()) if type(node.ctx) is not ast.Load)
        binding = (node for kind in _BINDING for node in kinds.get(kind, ()) if node not in known)
        self.others.update(name for node in binding for name in _bound(node))
        groups = (self.modules.keys(), self.types, self.copying, self.classes, self.selves, self.others)
        different = set().union(*groups)
        if len(different) < sum(map(len, groups)) or any(name.startswith("__") for name in different):
            return False
        return len(self._unknown) <= _MAX_MISSING and all(map(_is_missing, self._unknown))

    def _module(self, name: str, alias: str) -> bool:
        if name in _MODULES or name == "typing":
            return self.modules.setdefault(alias, name) == name
        self._unknown.add(name.partition(".")[0])
        return True

    def _members(self, module: str, aliases: list[ast.alias]) -> bool:
        names = [alias.name for alias in aliases]
        bound = [alias.asname or alias.name for alias in aliases]
        if module == "__future__":
            return names == ["annotations"]
        if module == "typing":
            self.types.update(bound)
            return _TYPING.issuperset(names)
        if names == ["*"]:
            self.others.update(_MODULES.get(module, ()))
            if module in _MODULES:
                return module in _STARRED
        if module not in _MODULES:
            self._unknown.add(module.partition(".")[0])
            return True
        (self.copying if module == _COPYING else self.others).update(bound)
        return _MODULES[module].issuperset(names)


def _is_missing(package: str) -> bool:
    """Whether an import of it, or of anything in it, raises, having looked for it and done nothing else."""
    try:
        return package not in (PROGRAM_MODULE, TEST_MODULE) and importlib.util.find_spec(package) is None
    except (ImportError, ValueError):  # `__main__`, which has no spec, is there
        return False


def _bound(node: ast.AST) -> list[str]:
    """The names that a definition binds, or declares to be of another scope."""
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        return node.names
    assert isinstance(node, (ast.FunctionDef, ast.ExceptHandler))
    return [node.name] if node.name is not None else []


class _Reading:
    """Looks at every node once, in an order in which nothing is looked at by itself that another node vouches for."""

    def __init__(self, names: _Names) -> None:
        self._names = names
        self._vouched: set[ast.AST] = set()
        self._rules: dict[type[ast.AST], Callable[[Any], bool]] = {
            ast.ClassDef: self._class,
            ast.FunctionDef: self._function,
            ast.arg: self._argument,
            ast.AnnAssign: self._annotated,
            ast.Call: self._call,
            ast.Compare: self._compare,
            ast.Try: self._try,
            ast.YieldFrom: self._yield_from,
            ast.Attribute: self._attribute,
            ast.Name: self._name,
        }

    def harmless(self, kinds: Mapping[type[ast.AST], Sequence[Any]]) -> bool:
        """Whether nothing that they do lasts."""
        return all(
            rule(node)
            for kind, rule in self._rules.items()
            for node in kinds.get(kind, ())
            if node not in self._vouched
        )

    def _name(self, node: ast.Name) -> bool:
        name, names = node.id, self._names
        if name in names.modules or name in names.types or name in names.classes or name in names.copying:
            return False  # but in front of a dot, in an annotation, or where it is called
        return name in _FREE_BUILTINS or name == "__name__" or not (name in _BUILTINS or name.startswith("__"))

    def _attribute(self, node: ast.Attribute) -> bool:
        if not isinstance(node.ctx, ast.Load):
            own = isinstance(node.value, ast.Name) and node.value.id in self._names.selves
            return own and isinstance(node.ctx, ast.Store) and not node.attr.startswith("__")
        if (module := self._module_named(node.value)) is not None:
            self._vouched.add(node.value)
            return module != _COPYING and node.attr in _MODULES.get(module, ())
        return node.attr in _METHODS or not (node.attr.startswith("__") or node.attr in _OF_OTHERS)

    def _module_named(self, node: ast.expr) -> str | None:
        return self._names.modules.get(node.id) if isinstance(node, ast.Name) else None

    def _class(self, node: ast.ClassDef) -> bool:
        """Methods, and literals that all instances share."""
        return not (node.bases or node.keywords or node.decorator_list) and all(map(_is_plain_part, node.body))

    def _call(self, node: ast.Call) -> bool:
        """Of a class; of a copy; of a format string that reads nothing, with a codec that is there.

        These are the only calls of their kind, and nothing else is done with what is called.
        """
        function = node.func
        if isinstance(function, ast.Attribute):
            if self._module_named(function.value) == _COPYING:
                if function.attr in _MODULES[_COPYING] and _has_one_argument(node):
                    self._vouched.update((function, function.value))
            elif function.attr == "format" and _reads_nothing(function.value):
                self._vouched.add(function)
            elif function.attr in _BY_CODEC and not node.keywords:
                if all(isinstance(arg, ast.Constant) and arg.value in _CODECS for arg in node.args):
                    self._vouched.add(function)
        elif isinstance(function, ast.Name):
            copies = function.id in self._names.copying and _has_one_argument(node)
            if copies or function.id in self._names.classes:
                self._vouched.add(function)
        return True

    def _compare(self, node: ast.Compare) -> bool:
        """With `type(x)` among what is compared: anywhere else, the type of a type makes classes.

        Not where classes are, whose `__eq__` is handed what it is compared with.
        """
        if not self._names.classes:
            self._vouched.update(filter(None, map(_type_asked, (node.left, *node.comparators))))
        return True

    def _try(self, node: ast.Try) -> bool:
        """Without a yield: a generator that is collected is ended by an exception, whenever that is."""
        return not any(isinstance(part, (ast.Yield, ast.YieldFrom)) for part in ast.walk(node))

    def _yield_from(self, node: ast.YieldFrom) -> bool:
        """Not where classes are: when the generator is collected, it calls what they name `close`."""
        return not self._names.classes

    def _function(self, node: ast.FunctionDef) -> bool:
        return self._annotation(node.returns)

    def _argument(self, node: ast.arg) -> bool:
        return self._annotation(node.annotation)

    def _annotated(self, node: ast.AnnAssign) -> bool:
        return self._annotation(node.annotation)

    def _annotation(self, node: ast.expr | None) -> bool:
        """Nothing, a text, or types: `typing` may keep what it is given."""
        if node is None or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            return True
        parts = list(ast.walk(node))
        self._vouched.update(parts)
        return all(map(self._of_types, parts))

    def _of_types(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            known = node.id in self._names.types or self._names.modules.get(node.id) == "typing"
            return known or (node.id in _FREE_BUILTINS and node.id not in self._names.others | self._names.classes)
        if isinstance(node, ast.Attribute):
            return self._module_named(node.value) == "typing" and node.attr in _TYPING
        if isinstance(node, ast.Constant):
            return node.value is None or node.value is ...
        return isinstance(node, _ANNOTATING)


def _is_plain_part(part: ast.stmt) -> bool:
    """Whether a statement in the body of a class does no more than define."""
    if isinstance(part, ast.FunctionDef):  # defaults are made where the other methods are known as mere functions
        defaults = [default for default in (*part.args.defaults, *part.args.kw_defaults) if default is not None]
        return not part.decorator_list and all(map(_is_literal, defaults))
    value = part.value if isinstance(part, (ast.Assign, ast.AnnAssign, ast.Expr)) else None
    return isinstance(part, (ast.AnnAssign, ast.Pass)) if value is None else _is_literal(value)


def _is_literal(value: ast.expr) -> bool:
    return all(isinstance(node, _LITERAL) for node in all_nodes(value))


def _type_asked(node: ast.expr) -> ast.expr | None:
    """The name `type` in `type(x)`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type":
        return node.func if len(node.args) == 1 and not node.keywords else None
    return None


def _has_one_argument(node: ast.Call) -> bool:
    return len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred)


def _reads_nothing(node: ast.expr) -> bool:
    """Whether a format string is a constant and looks no attribute or item up."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return False
    try:
        fields = [(name, spec) for _, name, spec, _ in string.Formatter().parse(node.value) if name is not None]
    except ValueError:
        return True  # no format string at all
    return all(_PLAIN_FIELD.fullmatch(name) and "{" not in (spec or "") for name, spec in fields)
