"""Options that give a name its value: ``--set mem_bw='8 TB/s'``, ``--select chip=h100``."""

from collections.abc import Iterable

from jaxlimits.errors import InputError


def pairs(texts: Iterable[str] | None, option: str, *, example: str) -> dict[str, str]:
    """Split texts ``name=value``; each name at most once.

    Parameters
    ----------
    texts
        What the option was given, each time.
    option
        Its name, for errors.
    example
        A text as it should be.

    Raises
    ------
    InputError
        A text without ``=``, a name that is given twice.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, value = pair(text, option, example=example)
        if name in found:
            remedy = "give it once"
            raise InputError("is set twice", where=option, key=name, value=value, remedy=remedy)
        found[name] = value
    return found


def pair(text: str, option: str, *, example: str) -> tuple[str, str]:
    """Split one text ``name=value``.

    Raises
    ------
    InputError
        A text without ``=``, or without a name or a value beside it.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        problem = f"{text!r} is not a name and its value"
        remedy = f"write {option} name=value, as {option} {example}"
        raise InputError(problem, where=option, remedy=remedy)
    return name, value
