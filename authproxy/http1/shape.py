"""What a sequence of field names means: which lines pass, and where the others stand."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias

from authproxy.core import names
from authproxy.core.names import AnswerNames, RequestNames
from authproxy.http1.lines import prefixes_of

Lines: TypeAlias = list[bytes]
Pick: TypeAlias = Callable[[Lines], tuple[bytes, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestShape:
    """Where the fields of a request stand: numbers of lines, 0 for a field that is not there."""

    fields: int
    """How many there are."""
    names: tuple[bytes, ...]
    """How each is spelt."""
    kinds: tuple[int, ...]
    """What `core.names` says of each."""
    prefixes: tuple[bytes, ...]
    """What each line begins with."""
    passed: Pick
    """Picks the lines that pass."""
    host: int
    authorization: int
    cookie: int
    request_id: int
    content_length: int
    transfer_encoding: int
    expect: int
    upgrade: int
    connection: tuple[int, ...]
    te: tuple[int, ...]
    forwarded: tuple[tuple[bytes, int], ...]
    """With their names in lower case."""
    is_reported: bool
    """There is a request id or a report of where the request comes from."""
    is_plain: bool
    """There is nothing but lines that pass or go, Host, Authorization and what is read for trusted peers only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerShape:
    """Where the fields of an answer stand."""

    fields: int
    names: tuple[bytes, ...]
    kinds: tuple[int, ...]
    prefixes: tuple[bytes, ...]
    passed: Pick
    content_length: int
    transfer_encoding: int
    upgrade: int
    connection: tuple[int, ...]
    cookies: tuple[int, ...]
    hsts: bool
    is_plain: bool
    """There is nothing but lines that pass or go and Content-Length."""


def _pick(indices: list[int]) -> Pick:
    """Return what picks these items of a list as a tuple."""
    if not indices:
        return lambda _: ()
    if len(indices) == 1:
        only = indices[0]
        return lambda lines: (lines[only],)
    return itemgetter(*indices)


def _sort(sequence: tuple[bytes, ...], table: dict[bytes, int]) -> dict[int, list[int]]:
    places: dict[int, list[int]] = {}
    for index, name in enumerate(sequence, 1):
        places.setdefault(table[name], []).append(index)
    return places


# A request carries each of these once at most: two of them are two readings.
_ONCE = {
    names.HOST: "Host", names.AUTHORIZATION: "Authorization", names.COOKIE: "Cookie", names.EXPECT: "Expect",
    names.CONTENT_LENGTH: "Content-Length", names.CONTENT_TYPE: "Content-Type", names.UPGRADE: "Upgrade",
    names.TRANSFER_ENCODING: "Transfer-Encoding",
}  # fmt: skip


def learn_request(sequence: tuple[bytes, ...], table: RequestNames) -> RequestShape | str:
    """Return where the fields stand, or why a request with these field names is refused."""
    places = _sort(sequence, table)
    if names.BAD in places:
        return "field name is empty or not a token"
    for kind, name in _ONCE.items():
        if len(places.get(kind, ())) > 1:
            return f"repeated {name}"
    if names.HOST not in places:
        return "Host is missing or malformed"

    def first(kind: int) -> int:
        return places.get(kind, [0])[0]

    plain = {
        names.PASS,
        names.DROP,
        names.HOST,
        names.AUTHORIZATION,
        names.CONTENT_TYPE,
        names.REQUEST_ID,
        names.FORWARDED,
    }
    return RequestShape(
        fields=len(sequence),
        names=sequence,
        kinds=tuple(table[name] for name in sequence),
        prefixes=prefixes_of(sequence),
        passed=_pick(sorted(places.get(names.PASS, []) + places.get(names.CONTENT_TYPE, []))),
        host=first(names.HOST),
        authorization=first(names.AUTHORIZATION),
        cookie=first(names.COOKIE),
        # Of two none is believed: an id is made, as for any other that is not good.
        request_id=first(names.REQUEST_ID) if len(places.get(names.REQUEST_ID, ())) == 1 else 0,
        content_length=first(names.CONTENT_LENGTH),
        transfer_encoding=first(names.TRANSFER_ENCODING),
        expect=first(names.EXPECT),
        upgrade=first(names.UPGRADE),
        connection=tuple(places.get(names.CONNECTION, ())),
        te=tuple(places.get(names.TE, ())),
        forwarded=tuple((sequence[index - 1].lower(), index) for index in places.get(names.FORWARDED, ())),
        is_reported=names.REQUEST_ID in places or names.FORWARDED in places,
        is_plain=places.keys() <= plain,
    )


def learn_answer(sequence: tuple[bytes, ...], table: AnswerNames) -> AnswerShape | str:
    """Return where the fields stand, or why an answer with these field names is not passed on."""
    places = _sort(sequence, table)
    if names.BAD in places:
        return "field name is empty or not a token"
    for kind, name in ((names.CONTENT_LENGTH, "Content-Length"), (names.TRANSFER_ENCODING, "Transfer-Encoding")):
        if len(places.get(kind, ())) > 1:
            return f"repeated {name}"
    if names.CONTENT_LENGTH in places and names.TRANSFER_ENCODING in places:
        return "both Content-Length and Transfer-Encoding"
    kept = places.get(names.PASS, []) + places.get(names.HSTS, []) + places.get(names.CONTENT_LENGTH, [])
    special = places.keys() - {names.PASS, names.DROP, names.CONTENT_LENGTH}
    return AnswerShape(
        fields=len(sequence),
        names=sequence,
        kinds=tuple(table[name] for name in sequence),
        prefixes=prefixes_of(sequence),
        passed=_pick(sorted(kept)),
        content_length=places.get(names.CONTENT_LENGTH, [0])[0],
        transfer_encoding=places.get(names.TRANSFER_ENCODING, [0])[0],
        upgrade=places.get(names.UPGRADE, [0])[-1],
        connection=tuple(places.get(names.CONNECTION, ())),
        cookies=tuple(places.get(names.SET_COOKIE, ())),
        hsts=names.HSTS in places,
        is_plain=not special,
    )
