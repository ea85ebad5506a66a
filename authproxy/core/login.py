"""The form that signs in: what a browser posted, read once, or why it is no such form.

How it is used: collect at most `MAX_BODY` bytes of the body (more is `FormProblem.TOO_LARGE`, 413), then `read_login`;
a `FormProblem` is answered with its `status` and says nothing of a value. A `LoginForm` is asked of the zone as the
token of an Authorization would be, and the record's user must be `user_id` too; every failure then says one thing.
`next` goes through `core.redirect.safe_next`. Nothing here ever reads the query string.

Source: spec/tokens.md, 7.1, 7.2 and 14; application/x-www-form-urlencoded as in the URL Standard, 5.1, but strict:
a broken escape or bytes that are not UTF-8 are refused, since two readers would read them differently.
"""

import re
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

from authproxy.core.record import UserId
from authproxy.core.secret import Secret

MAX_BODY: Final = 16 * 1024
"""Bytes: a token of 4096 characters, none of which browsers escape, and a `next` of 2048, all escaped, fit with room to spare."""
MAX_FIELDS: Final = 16

# The second name of a field is an alias; together they count as the field twice.
_FIELDS: Final = {"user-id": "user_id", "username": "user_id", "token": "token", "next": "next"}

_TYPE: Final = b"application/x-www-form-urlencoded"
_broken_escape: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_user_id: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch


class FormProblem(Enum):
    """Why a body is no login. The values are for the log and are stable."""

    WRONG_TYPE = "login-type"
    TOO_LARGE = "login-too-large"
    MALFORMED = "login-malformed"
    REPEATED = "login-field-repeated"
    INCOMPLETE = "login-incomplete"

    @property
    def status(self) -> int:
        """The status of the answer."""
        statuses = {FormProblem.WRONG_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
        statuses[FormProblem.TOO_LARGE] = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return statuses.get(self, HTTPStatus.BAD_REQUEST).value


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginForm:
    """What a person gave; nothing of it has been verified."""

    user_id: UserId
    token: Secret[bytes]
    """Not blank, and as it came: nothing is trimmed. For `core.token.parse`."""
    next: str | None
    """Where to go afterwards, unchecked; None when it is absent or empty."""


def read_login(body: bytes, content_type: bytes | None) -> LoginForm | FormProblem:
    """Return the credentials in a form's body, or why there are none.

    Unknown names are ignored, however similar; a known one twice is refused, under its alias too.
    """
    if content_type is None or content_type.partition(b";")[0].strip(b" \t").lower() != _TYPE:
        return FormProblem.WRONG_TYPE
    # One `&` less than fields.
    if len(body) > MAX_BODY or body.count(b"&") >= MAX_FIELDS:
        return FormProblem.TOO_LARGE
    fields = _read(body)
    if isinstance(fields, FormProblem):
        return fields
    user_id, token = fields.get("user_id", ""), fields.get("token", "")
    if _user_id(user_id) is None or not token.strip():
        return FormProblem.INCOMPLETE
    return LoginForm(
        user_id=UserId(bytes.fromhex(user_id.replace("-", ""))),
        token=Secret(token.encode()),
        next=fields.get("next") or None,
    )


def _read(body: bytes) -> dict[str, str] | FormProblem:
    """Return the fields that are known, by our names."""
    found: dict[str, str] = {}
    for pair in body.split(b"&"):
        raw_name, _, raw_value = pair.partition(b"=")
        name, value = _decode(raw_name), _decode(raw_value)
        if name is None or value is None:
            return FormProblem.MALFORMED
        field = _FIELDS.get(name)
        if field is None:
            continue
        if field in found:
            return FormProblem.REPEATED
        found[field] = value
    return found


def _decode(raw: bytes) -> str | None:
    """Return a name or value without its escapes, or None when they are broken or no UTF-8 comes out."""
    if _broken_escape(raw) is not None:
        return None
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        return None
