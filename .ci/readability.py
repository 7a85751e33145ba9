"""What `make lint` holds beyond ruff: names by the field's words, no nested comprehension, air in long functions, and
short names of tests. Each finding is a line with its file and line number.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
BANNED = {
    "said", "told", "given", "found", "each", "what", "seen", "kept", "off", "rival", "memory", "recalled",
    "tally", "remembers", "workplace", "front", "served", "calls", "words", "answers", "wrong", "gone", "rings",
    "alone", "surely", "pooled", "least", "alarms", "breach", "Standing", "Made", "Judged", "Verdict", "Asked",
    "Told",
}  # fmt: skip
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LONG = 12  # lines of a body that wants a blank one between its phases
PACKED = 0.3  # share of the long functions that may do without
LONGEST_TEST_NAME = 70


class Finding(NamedTuple):
    """A place, and the fault there."""

    line: int
    fault: str


def main() -> None:
    """Print every finding. Ends with 1 where there is one."""
    count = 0
    packed: list[bool] = []
    for path in sources("src", "serve"):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        packed += [is_packed(function, text) for function in long_functions(tree)]
        count += report(path, [*banned(tree), *nested(tree)])
    for path in sources("tests"):
        count += report(path, list(long_test_names(ast.parse(path.read_text(encoding="utf-8")))))

    share = sum(packed) / len(packed)
    if share > PACKED:
        print(f"src, serve: {share:.0%} of the functions of {LONG} lines or more have no blank line; {PACKED:.0%} may")
        count += 1
    sys.exit(bool(count))


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def report(path: Path, findings: list[Finding]) -> int:
    for finding in sorted(findings):
        print(f"{path.relative_to(ROOT)}:{finding.line}: {finding.fault}")
    return len(findings)


def banned(tree: ast.Module) -> Iterator[Finding]:
    """Definitions whose name says nothing: the glossary has a noun for each."""
    for node in ast.walk(tree):
        name = defined(node)
        if name in BANNED:
            yield Finding(getattr(node, "lineno", 0), f"{name} is no name of the field: say the noun")


def defined(node: ast.AST) -> str | None:
    """The name that a node defines, if it defines one."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return node.name
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return node.attr
    return None


def nested(tree: ast.Module) -> Iterator[Finding]:
    """Comprehensions with two loops, or with another one inside."""
    for node in ast.walk(tree):
        if not isinstance(node, COMPREHENSIONS):
            continue
        inner = [part for part in ast.walk(node) if isinstance(part, COMPREHENSIONS) and part is not node]
        if inner or len(node.generators) > 1:
            yield Finding(node.lineno, "a nested comprehension: name the loop")


def long_functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS) and len(body(node)) >= LONG:
            yield node


def body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> range:
    """The lines of a function below its signature and docstring."""
    statements = function.body
    if ast.get_docstring(function) is not None and len(statements) > 1:
        statements = statements[1:]
    return range(statements[0].lineno, (function.end_lineno or 0) + 1)


def is_packed(function: ast.FunctionDef | ast.AsyncFunctionDef, text: str) -> bool:
    lines = text.splitlines()
    return all(lines[number - 1].strip() for number in body(function))


def long_test_names(tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS) and node.name.startswith("test_") and len(node.name) > LONGEST_TEST_NAME:
            length = len(node.name)
            yield Finding(
                node.lineno, f"{length} characters; a test's name has {LONGEST_TEST_NAME}, its docstring the rest"
            )


if __name__ == "__main__":
    main()
