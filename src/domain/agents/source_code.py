"""Generated Python read as a syntax tree: what it defines, imports and remarks."""

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class NotPython(Exception):
    """The text does not parse as Python. ``line`` is where, or 0 where that is not known."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line = line


def parse(content: str) -> ast.Module:
    """The syntax tree of ``content``. Nothing of it is run.

    Raises:
        NotPython: it does not parse, or nests deeper than the parser can follow.
    """
    try:
        with warnings.catch_warnings():
            # An invalid escape in generated text warns; it is not our process's concern.
            warnings.simplefilter("ignore")
            return ast.parse(content)
    except SyntaxError as reason:
        raise NotPython(reason.msg, reason.lineno or 0) from reason
    except (ValueError, RecursionError, MemoryError) as reason:
        raise NotPython(str(reason) or "nested too deeply to be read", 0) from reason


def defined_symbols(tree: ast.Module, *, reexports: bool = False) -> frozenset[str]:
    """Names that ``tree`` defines at module level, and ``Class.member`` below classes.

    ``reexports`` counts imported names too: what an ``__init__`` offers.
    """
    return frozenset(_symbols(tree.body, "", reexports))


def imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Absolutely imported modules with their lines, without those that may be missing.

    An import inside ``try`` with ``except ImportError`` is optional by construction.
    """
    nodes = list(ast.walk(tree))
    optional = {
        id(inner)
        for node in nodes
        if isinstance(node, ast.Try) and any(map(_catches_import_error, node.handlers))
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in nodes:
        if id(node) in optional:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, node.lineno


def comments(content: str) -> tuple[tuple[int, str], ...]:
    """Each comment with its line, ``#`` included.

    Text that does not tokenise gives the comments before the first error.
    """
    found: list[tuple[int, str]] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(content).readline):
            if token.type == tokenize.COMMENT:
                found.append((token.start[0], token.string))
    except (tokenize.TokenError, SyntaxError, ValueError):
        # parse() reports what is wrong with the text; comments so far are still comments.
        return tuple(found)
    return tuple(found)


def name_of(expression: ast.expr) -> str:
    """The last name of a decorator, base or callee: ``abc.abstractmethod(...)`` by its end."""
    while isinstance(expression, ast.Call | ast.Subscript):
        expression = expression.func if isinstance(expression, ast.Call) else expression.value
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def _symbols(body: list[ast.stmt], prefix: str, reexports: bool) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield prefix + node.name
            yield from _symbols(node.body, f"{prefix}{node.name}.", False)
            yield from _instance_attributes(node, f"{prefix}{node.name}.")
        elif isinstance(node, FunctionNode):
            yield prefix + node.name
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                for inner in ast.walk(target):
                    if isinstance(inner, ast.Name):
                        yield prefix + inner.id
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield prefix + node.target.id
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _symbols(node.body, prefix, reexports)
            if not isinstance(node, ast.With):
                yield from _symbols(node.orelse, prefix, reexports)
            if isinstance(node, ast.Try):
                for handler in node.handlers:
                    yield from _symbols(handler.body, prefix, reexports)
        elif reexports and isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name


def _instance_attributes(node: ast.ClassDef, prefix: str) -> Iterator[str]:
    for inner in ast.walk(node):
        if (
            isinstance(inner, ast.Attribute)
            and isinstance(inner.ctx, ast.Store)
            and isinstance(inner.value, ast.Name)
            and inner.value.id == "self"
        ):
            yield prefix + inner.attr


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(name_of(kind) in {"ImportError", "ModuleNotFoundError"} for kind in caught)
