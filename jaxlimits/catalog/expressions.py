"""Expressions of whole numbers: sums, products, quotients and alternatives of names."""

import ast
import functools
from collections.abc import Callable

_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
}


def evaluated(expression: str, named: Callable[[str], int]) -> int:
    """Evaluate an expression, as ``"head_dim or hidden_size // num_heads"``.

    Parameters
    ----------
    expression
        Whole numbers and names with ``+ - * //`` and parentheses; ``a or b`` is b where a is 0.
    named
        The value of a name; asked only for names on which the value rests.
    """
    return _value(_parsed(expression), named)


def names_in(expression: str) -> set[str]:
    """Return the names in an expression."""
    return {node.id for node in ast.walk(_parsed(expression)) if isinstance(node, ast.Name)}


@functools.cache
def _parsed(expression: str) -> ast.expr:
    return ast.parse(f"({expression.strip()})", mode="eval").body


def _value(node: ast.expr, named: Callable[[str], int]) -> int:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return named(name)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left, named), _value(right, named))
        case ast.BoolOp(op=ast.Or(), values=alternatives):
            return next(filter(None, (_value(each, named) for each in alternatives)), 0)
    raise ValueError(f"{ast.unparse(node)}: is none of + - * // or")
