"""Placeholders: code that only looks written.

What is abstract by design is let through: protocols, abstract methods and overloads, base
methods that some class overrides, hooks that are silenced on purpose and say so.
"""

import ast
import re
from collections.abc import Iterable, Iterator

from domain.agents.findings import Finding, error
from domain.agents.source_code import FunctionNode, comments, name_of

Overridden = frozenset[tuple[str, str]]
"""Pairs of a base class's name and a method that a class below it defines."""


def check_placeholders(
    path: str, content: str, tree: ast.Module | None, overridden: Overridden | None
) -> Iterator[Finding]:
    """Findings in one file. ``tree`` is its syntax tree, or None where it is not Python.

    ``overridden`` is None while the other files are not known: a method that only raises
    ``NotImplementedError`` then gets the benefit of the doubt.
    """
    if tree is None:
        yield from _text_findings(path, content)
        return
    remarks = dict(comments(content))
    for line, text in remarks.items():
        if _says_unwritten(text):
            yield _found(path, line, f"the comment {text.strip()!r} stands for code")
    if not _docstring_free(tree.body) and not path.endswith("__init__.py"):
        yield _found(path, 1, "the file has no code")
    yield from _body_findings(path, tree.body, [], remarks, overridden)


def check_tests(path: str, tree: ast.Module) -> Iterator[Finding]:
    """A test that can never fail proves nothing."""
    for node in ast.walk(tree):
        if not (isinstance(node, FunctionNode) and node.name.startswith("test")):
            continue
        if not any(map(_can_fail, ast.walk(node))):
            yield error("empty_test", path, f"Line {node.lineno}: let {node.name} check a result.")


def overridden_methods(trees: Iterable[ast.Module]) -> Overridden:
    """Which methods of which bases are defined again below, over the whole codebase."""
    return frozenset(
        (name_of(base), inner.name)
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        for inner in node.body
        if isinstance(inner, FunctionNode)
    )


_REMEDY = "Write it out in full"

_UNWRITTEN = re.compile(
    r"""(?ix)
      ^\W*(?-i:TODO|FIXME|XXX)\b
    | (?-i:\b(TODO|FIXME|XXX)[:(])
    | \bimplement\ (me|this|here|later)\b
    | \b(not|to\ be)\ (yet\ )?implemented(\ yet)?\s*[.)]?\s*$
    | \byour\ (code|logic|implementation)\ (goes\ )?here\b
    | \b(code|logic|implementation|rest)\ goes\ here\b
    | \b(rest|remainder)\ of\ (the|your|this)
      \ (code|file|class|function|method|implementation|module|tests?)\b
    | \b(remaining|existing|previous|other)\ (code|methods|functions|tests)
      \ (here|unchanged|as\ before|omitted|follows?)\b
    | \b(omitted|elided|shortened|truncated)\ for\ (brevity|clarity)\b
    | ^\W*(same\ as\ before|unchanged|as\ above)\W*$
    | ^\W*(\.{3}|…)\s*($|(and\ )?(the\ )?(rest|remaining|existing|other|more|same|etc)\b)
    """
)


def _says_unwritten(text: str) -> bool:
    return _UNWRITTEN.search(text.lstrip("#/*-<!; \t")) is not None


def _found(path: str, line: int, what: str) -> Finding:
    return error("placeholder", path, f"Line {line}: {what}. {_REMEDY}.")


def _text_findings(path: str, content: str) -> Iterator[Finding]:
    # Prose may speak of code that is to be written; only code-like text is held to it.
    if path.rsplit(".", 1)[-1].lower() in {"md", "txt", "rst", "csv"}:
        return
    for number, line in enumerate(content.splitlines(), start=1):
        stripped = line.strip()
        remark = re.match(r"(//|#|/\*|<!--|--|;)\s*(.*)", stripped)
        if (remark and _says_unwritten(remark.group(2))) or stripped in {"...", "…"}:
            yield _found(path, number, f"{stripped[:80]!r} stands for code")


def _body_findings(
    path: str,
    body: list[ast.stmt],
    classes: list[ast.ClassDef],
    remarks: dict[int, str],
    overridden: Overridden | None,
) -> Iterator[Finding]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _body_findings(path, node.body, [*classes, node], remarks, overridden)
        elif isinstance(node, FunctionNode):
            yield from _function_findings(path, node, classes, remarks, overridden)
            yield from _body_findings(path, _blocks(node), [], remarks, overridden)
        else:
            if _is_ellipsis(node) and not classes:
                yield _found(path, node.lineno, "'...' stands for code")
            yield from _body_findings(path, _blocks(node), classes, remarks, overridden)


def _blocks(node: ast.stmt) -> list[ast.stmt]:
    """The statements directly inside a compound statement, in all of its blocks."""
    if isinstance(node, FunctionNode):
        # The only statement of a body was judged with its function.
        real = _docstring_free(node.body)
        return [] if len(real) == 1 and _is_ellipsis(real[0]) else real
    inner: list[ast.stmt] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            inner.append(child)
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            inner.extend(child.body)
    return inner


def _function_findings(
    path: str,
    node: FunctionNode,
    classes: list[ast.ClassDef],
    remarks: dict[int, str],
    overridden: Overridden | None,
) -> Iterator[Finding]:
    owner = classes[-1] if classes else None
    if _abstract_by_design(node, owner):
        return
    docstring = ast.get_docstring(node) or ""
    if docstring and _says_unwritten(docstring):
        yield _found(path, node.lineno, f"{node.name} says that it is unwritten")
    real = _docstring_free(node.body)
    if any(map(_raises_not_implemented, real[:1])):
        # The benefit of the doubt goes to methods only: a function has nothing to override it.
        known = overridden is None or (owner and (owner.name, node.name) in overridden)
        if not (owner and known):
            yield _found(path, node.lineno, f"{node.name} only raises NotImplementedError")
    elif len(real) == 1 and _is_ellipsis(real[0]):
        yield _found(path, node.lineno, f"the body of {node.name} is '...'")
    elif all(isinstance(statement, ast.Pass) for statement in real):
        inside = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        said = " ".join([docstring, *(remarks[line] for line in inside if line in remarks)])
        if not _empty_by_design(node, owner, said, overridden):
            yield _found(
                path,
                node.lineno,
                f"the body of {node.name} is empty; where that is meant, say so in its docstring",
            )


def _abstract_by_design(node: FunctionNode, owner: ast.ClassDef | None) -> bool:
    if any(name_of(d) in _ABSTRACT_DECORATORS for d in node.decorator_list):
        return True
    return owner is not None and any(name_of(base) == "Protocol" for base in owner.bases)


_ABSTRACT_DECORATORS = frozenset({"abstractmethod", "abstractproperty", "overload"})

# Hooks of the standard library that programs silence as a matter of course.
_SILENCED_HOOKS = frozenset(
    {
        "log_message", "log_request", "log_error", "setUp", "tearDown", "setUpClass",
        "tearDownClass", "__init__", "__exit__", "__aexit__", "__enter__", "__del__",
    }
)  # fmt: skip

_MEANT = re.compile(
    r"(?i)\b(nothing|no-?op|do(es)? not|doesn't|don't|intentional(ly)?|deliberate(ly)?|"
    r"on purpose|silen(ce[sd]?|t(ly)?)|quiet|ignore[sd]?|no need|not needed|"
    r"suppress(es|ed)?|null object|by design)\b"
)


def _empty_by_design(
    node: FunctionNode, owner: ast.ClassDef | None, said: str, overridden: Overridden | None
) -> bool:
    if owner is not None:
        if node.name in _SILENCED_HOOKS:
            return True
        if overridden is not None and (owner.name, node.name) in overridden:
            return True
    return _MEANT.search(said) is not None


def _docstring_free(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return body[1:]
    return body


def _is_ellipsis(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and node.value.value is ...
    )


def _raises_not_implemented(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Raise)
        and node.exc is not None
        and name_of(node.exc) == "NotImplementedError"
    )


def _can_fail(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant)
    if isinstance(node, ast.Raise):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = name_of(node.func)
    if name in {"assertTrue", "assertFalse"}:
        return not (node.args and isinstance(node.args[0], ast.Constant))
    return _CHECKING_CALL.match(name) is not None


_CHECKING_CALL = re.compile(r"(?i)_*(assert|fail|raises|check|expect|verify|should)")
