"""The credential inside an Authorization field."""

import re

_credential = re.compile(rb"(?i:bearer|token) +([^ \r\n][^\r\n]*)").fullmatch


def token_of(authorization: bytes) -> bytes | None:
    """Return what follows `Bearer` or `Token`, or None when the value offers no such credential.

    The scheme's letter case is free; between it and the token stands one or more SP and nothing else (RFC 9110, 11.4;
    turvata accepts any white space). `authorization` comes without blanks around it, as HTTP defines a field value.
    The result is everything after the blanks: whether it is a token is for `token.parse` to say.
    """
    if authorization[:7] == b"Bearer " and authorization[7:8] not in b" \r\n":
        # The usual spelling, without the cost of a pattern. What a newline inside would do is the parser's to say.
        return authorization[7:]
    found = _credential(authorization)
    return None if found is None else found[1]
