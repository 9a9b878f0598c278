"""Expressions of numbers: sums, products, quotients and alternatives of names."""

import ast
import functools
from collections.abc import Callable, Mapping

Number = int | float
Functions = Mapping[str, Callable[[str], Number]]

_OPERATIONS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Div: lambda a, b: a / b,
}


def evaluated(
    expression: str, named: Callable[[str], Number], functions: Functions | None = None
) -> Number:
    """Evaluate an expression, as ``"head_dim or hidden_size // num_heads"``.

    Parameters
    ----------
    expression
        Whole numbers and names with ``+ - * // /`` and parentheses; ``a or b`` is b where a is 0.
    named
        The value of a name; asked only for names on which the value rests.
    functions
        Of one name each, as ``mean(intermediate_size)``.
    """
    return _value(_parsed(expression), named, functions or {})


def names_in(expression: str) -> set[str]:
    """Return the names in an expression, those of functions apart."""
    nodes = list(ast.walk(_parsed(expression)))
    functions = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    return {node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in functions}


@functools.cache
def _parsed(expression: str) -> ast.expr:
    return ast.parse(f"({expression.strip()})", mode="eval").body


def _value(node: ast.expr, named: Callable[[str], Number], functions: Functions) -> Number:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return named(name)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            a, b = _value(left, named, functions), _value(right, named, functions)
            return _OPERATIONS[type(op)](a, b)
        case ast.BoolOp(op=ast.Or(), values=alternatives):
            return next(filter(None, (_value(each, named, functions) for each in alternatives)), 0)
        case ast.Call(func=ast.Name(id=name), args=[ast.Name(id=key)]) if name in functions:
            return functions[name](key)
    raise ValueError(f"{ast.unparse(node)}: is none of + - * // / or, nor a function")
