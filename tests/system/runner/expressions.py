"""Expressions of GitHub's workflows: `${{ … }}` in texts, and the conditions of `if`.

The part of the language that workflows need, by its reference ("Evaluate expressions in workflows and actions"):
literals, contexts, operators, and functions that `functions` gives. Anything else is an error, never a guess.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Functions = Mapping[str, Callable[..., Any]]
TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>&&|\|\||==|!=|[!().,\[\]*]))"
)
CONSTANTS = {"true": True, "false": False, "null": None}


def evaluate(text: str, contexts: Mapping[str, Any], functions: Functions) -> Any:
    """The value of one expression. Raises ValueError where it is none, or names what there is not."""
    reader = Reader(tokens(text), contexts, functions)
    value = reader.either()
    if reader.left:
        raise ValueError(f"{text!r}: {reader.left[0]!r} is left over")
    return value


def filled(text: str, contexts: Mapping[str, Any], functions: Functions) -> str:
    """A text with the values of its `${{ … }}` in their places."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: as_text(evaluate(found[1], contexts, functions)), text)


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def tokens(text: str) -> list[str]:
    found, place, text = [], 0, text.strip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if not match:
            raise ValueError(f"{text!r}: {text[place:]!r} cannot be read")
        found.append(match[0].strip())
        place = match.end()
    return found


class Reader:
    """Reads tokens from the left, an operator that binds weakly before one that binds strongly."""

    def __init__(self, left: list[str], contexts: Mapping[str, Any], functions: Functions) -> None:
        self.left, self.contexts, self.functions = left, contexts, functions

    def next_is(self, *signs: str) -> bool:
        return bool(self.left) and self.left[0] in signs

    def take(self, sign: str | None = None) -> str:
        if not self.left or (sign and self.left[0] != sign):
            raise ValueError(f"{sign or 'a value'} is missing before {self.left}")
        return self.left.pop(0)

    def either(self) -> Any:
        return self.chain("||", self.both, lambda value, other: value or other)

    def both(self) -> Any:
        return self.chain("&&", self.compared, lambda value, other: value and other)

    def chain(self, sign: str, operand: Callable[[], Any], join: Callable[[Any, Any], Any]) -> Any:
        value = operand()
        while self.next_is(sign):
            self.take()
            value = join(value, operand())
        return value

    def compared(self) -> Any:
        value = self.single()
        while self.next_is("==", "!="):
            wanted = self.take() == "=="
            value = equal(value, self.single()) is wanted
        return value

    def single(self) -> Any:
        token = self.take()
        if token == "!":
            return not self.single()
        if token == "(":
            value = self.either()
            self.take(")")
            return value
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token[0].isdigit():
            return float(token)
        if token in CONSTANTS:
            return CONSTANTS[token]
        return self.called(token) if self.next_is("(") else self.looked_up(token)

    def called(self, name: str) -> Any:
        if name not in self.functions:
            raise ValueError(f"there is no function {name} here")
        self.take("(")
        arguments = []
        while not self.next_is(")"):
            arguments.append(self.either())
            if not self.next_is(")"):
                self.take(",")
        self.take(")")
        return self.functions[name](*arguments)

    def looked_up(self, name: str) -> Any:
        """A value of a context. A key that is missing is null, as on GitHub; a context that is missing is an error."""
        if name not in self.contexts:
            raise ValueError(f"there is no context {name} here")
        value = self.contexts[name]
        while self.next_is("."):
            self.take(".")
            key = self.take()
            if key == "*":
                self.take(".")
                last = self.take()
                value = [item.get(last) for item in (value or {}).values()]
            else:
                value = value.get(key) if isinstance(value, Mapping) else None
        return value


def equal(one: Any, other: Any) -> bool:
    """Texts are equal whatever their capitals. Values of two kinds are compared as numbers, as in JavaScript."""
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold()
    if type(one) is type(other):
        return bool(one == other)
    return as_number(one) == as_number(other)


def as_number(value: Any) -> float:
    if value is None or value == "":
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
