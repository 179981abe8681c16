"""Mutants of one program, by mutmut used as a library (the only file that knows mutmut; pinned to 3.8.x).

mutmut's own driver wraps every function into a trampoline, reads its configuration from the working directory and
obeys `# pragma: no mutate` comments. None of that suits model-written programs, so only its mutation operators and its
visitor are used, one plain source a mutant. Nothing here ever executes the program. libcst and mutmut take about a
second to import, which is why they are imported on first use.
"""

from __future__ import annotations

import ast
import hashlib
import random
import warnings
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from zerocoder.syntax import parse

if TYPE_CHECKING:
    import libcst
    from mutmut.mutation.file_mutation import Mutation

MAX_SOURCE_CHARS = 16_384
"""Longer programs get no mutants: mutation would take seconds, and no answer of 2,048 tokens is that long."""
MAX_DEPTH = 80
"""Deeper syntax trees get no mutants: libcst's native parser takes minutes, then crashes the whole process, at some
thousand levels, and its visitors exhaust the stack at some hundred."""
_SKIPPED_CALLS = ("len", "isinstance")  # mutmut's choice: `len(None)` is killed by any test


@lru_cache(maxsize=2048)
def mutants(source: str, limit: int = 16, seed: int = 0) -> tuple[str, ...]:
    """At most `limit` sources that differ from `source` by one mutation each, in the order of their place in it.

    Functions, methods and module-level scripts are mutated alike. Duplicates, mutants equal to the original (as
    syntax trees, without docstrings) and mutants that do not compile are dropped. More than `limit` are thinned out
    by a random sample that `source` and `seed` determine. A source that is no Python, too long (`MAX_SOURCE_CHARS`)
    or too deeply nested (`MAX_DEPTH`) has no mutants. Results are cached.
    """
    if limit < 1 or not _is_tame(source):
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # model-written code is full of odd escapes
            return _sample(source, limit, seed)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return ()


def _sample(source: str, limit: int, seed: int) -> tuple[str, ...]:
    try:
        writer = _Writer(source)
    except ValueError:  # libcst is stricter about indentation, and behind on new syntax, where Python's parser is not
        writer = _Writer(ast.unparse(parse(source)))
    digest = hashlib.sha256(f"{seed}\0{source}".encode()).digest()
    order = list(range(len(writer.mutations)))
    random.Random(digest).shuffle(order)

    seen = {_fingerprint(source)}
    chosen: dict[int, str] = {}
    for index in order:
        mutant = writer.write(index)
        fingerprint = _fingerprint(mutant)
        if fingerprint is None or fingerprint in seen:
            continue
        seen.add(fingerprint)
        chosen[index] = mutant
        if len(chosen) == limit:
            break
    return tuple(chosen[index] for index in sorted(chosen))


def _is_tame(source: str) -> bool:
    """Whether libcst can be trusted with the source. Python's own parser refuses deep nesting without crashing."""
    if len(source) > MAX_SOURCE_CHARS:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            level: list[ast.AST] = [parse(source)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    return False


class _Writer:
    """mutmut's mutations of one module, in the order of their places, each written out on demand.

    What is done is mutmut's `create_mutations` without its two outside influences: the configuration of whatever
    project the working directory holds, and the pragmas in the code. A mutation is rendered within its top-level
    statement only, as rendering a whole module for each takes most of the time.
    """

    def __init__(self, source: str) -> None:
        """Raises: ValueError: libcst cannot parse the source."""
        import libcst
        from mutmut.mutation.mutators import mutation_operators
        from mutmut.mutation.pragma_handling import IgnoredCode

        try:
            module = libcst.parse_module(source)
        except libcst.ParserSyntaxError as error:
            raise ValueError("not parsable by libcst") from error
        visitor = _visitor_class()(mutation_operators, IgnoredCode(set(), set(), set()))
        module.visit(visitor)
        self.mutations: list[Mutation] = visitor.mutations
        self._module = module
        self._header = "".join(module.code_for_node(line) for line in module.header)
        self._footer = "".join(module.code_for_node(line) for line in module.footer)
        self._parts = [module.code_for_node(statement) for statement in module.body]
        self._place = {id(statement): i for i, statement in enumerate(module.body)}
        self._parent = {id(child): node for statement in module.body for node, child in _edges(statement)}

    def write(self, index: int) -> str:
        """The source of the module with one mutation."""
        mutation = self.mutations[index]
        old, new = mutation.original_node, mutation.mutated_node
        while id(old) not in self._place:  # only the way up to the statement is built anew
            parent = self._parent[id(old)]
            old, new = parent, _with_child(parent, old, new)
        place = self._place[id(old)]
        parts = [*self._parts[:place], self._module.code_for_node(new), *self._parts[place + 1 :]]
        return "".join([self._header, *parts, self._footer])


def _edges(root: libcst.CSTNode) -> Iterator[tuple[libcst.CSTNode, libcst.CSTNode]]:
    """Each node below a root, after its parent."""
    stack = [root]
    while stack:
        node = stack.pop()
        for child in node.children:
            yield node, child
            stack.append(child)


def _with_child(parent: libcst.CSTNode, old: libcst.CSTNode, new: libcst.CSTNode) -> libcst.CSTNode:
    """A copy of a node with one child replaced."""
    for name in parent.__dataclass_fields__:
        value = getattr(parent, name)
        if value is old:
            return parent.with_changes(**{name: new})
        if isinstance(value, (list, tuple)) and any(item is old for item in value):
            return parent.with_changes(**{name: [new if item is old else item for item in value]})
    raise LookupError("a child that none of its parent's fields holds")


@cache
def _visitor_class() -> Callable[..., Any]:
    """mutmut's visitor, less what only its trampolines, its pragmas and its defaults need."""
    import libcst
    from mutmut.mutation.file_mutation import NEVER_MUTATE_FUNCTION_NAMES, MutationVisitor

    def is_skipped_call(node: libcst.CSTNode) -> bool:
        return (
            isinstance(node, libcst.Call) and isinstance(node.func, libcst.Name) and node.func.value in _SKIPPED_CALLS
        )

    class Visitor(MutationVisitor):
        METADATA_DEPENDENCIES = ()  # type: ignore[assignment]  # positions and outer functions take half of the time

        def get_metadata(self, key: Any, node: libcst.CSTNode, default: Any = None) -> Any:
            return default

        def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
            # mutmut skips decorated functions because it copies them (lru_cache!) and whatever is inside of len().
            if isinstance(node, libcst.FunctionDef):
                return node.name.value in NEVER_MUTATE_FUNCTION_NAMES
            return not is_skipped_call(node) and bool(super()._skip_node_and_children(node))

        def _should_mutate_node(self, node: libcst.CSTNode) -> bool:
            return not is_skipped_call(node)

    return Visitor


def _fingerprint(source: str) -> str | None:
    """What the program does, as a string: its syntax tree without docstrings; None when it does not compile."""
    try:
        tree = parse(source)
        for body in _bodies(tree):
            body[:] = [s for s in body if not _is_idle(s)] or [ast.Pass()]
        compile(source, "<mutant>", "exec", dont_inherit=True)
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def _bodies(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            yield body


def _is_idle(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
