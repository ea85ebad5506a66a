"""What an unquoted word of YAML means, and `${VAR}` in any word.

The rules are YAML 1.2's core schema less its second spellings: `yes` and `off` are text, and so are `0644`, `0x1F`,
`1_000`, `1:30` and dates, which YAML 1.1 reads as numbers and times that nobody wrote.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

Plain: TypeAlias = str | int | float | bool | None

_WORDS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# 18 digits: Python refuses to read very long numbers, and no setting is one.
_WHOLE: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FRACTION: Final = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")
# A default is plain text: a reference within one would be cut in two, and so it is malformed.
_DEFAULT: Final = r"(?P<how>:[-?])(?P<rest>(?:(?!\$\{)[^}])*)"
_REFERENCE: Final = re.compile(
    rf"\$(?:(?P<dollar>\$)|\{{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:{_DEFAULT})?\}}|(?P<broken>\{{))"
)


def resolve(text: str) -> Plain:
    """Return what an unquoted `text` stands for: nothing, a truth value, a number, or itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` with `${VAR}`, `${VAR:-default}` and `${VAR:?message}` replaced and `$$` as `$`.

    What comes in is text only: it is not read again as YAML, nor searched for further references.

    Raises:
        ValueError: a variable without default is not set, or the reference is malformed; the message is for the user.
    """

    def value(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        if found["broken"]:
            raise ValueError("write ${NAME}, ${NAME:-default} or ${NAME:?message}, and $${ for a plain ${")
        held = environ.get(found["name"])
        if found["how"] is None:
            if held is None:
                cure = f"write ${{{found['name']}:-default}} to go without"
                raise ValueError(f"environment variable {found['name']} is not set ({cure})")
            return held
        if held:
            return held
        if found["how"] == ":?":
            raise ValueError(f"environment variable {found['name']} is not set: {found['rest'] or 'it is required'}")
        return found["rest"]

    return _REFERENCE.sub(value, text)
