"""Where a person is sent: to the sign-in page, and from there back to the page that was wanted.

How it is used: whoever answers a browser without a session sends 302 with `login_location`; the sign-in page carries
the `next` it got in a hidden field when `safe_next` accepts it; after a good login (and for somebody already signed in)
303 leads to what `safe_next` returned, or to the zone's `after` when nothing was asked for (absent or empty). A login
whose `next` is there and refused is answered 400: nobody honest made it.

Source: turvata 0.4, web.clj and malli-firewall 0.2.3, relative-uri; stricter in what `safe_next` lists.
"""

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from authproxy.core.path import dot_segment

MAX_NEXT: Final = 2048
"""Characters, as they go into Location."""

# Visible ASCII without a backslash, which browsers read as a slash; one slash in front and no second, plain or encoded,
# since `//host` names another host.
_shape: Final = re.compile(r"/(?!/|%2[Ff])[!-\[\]-~]*+").fullmatch
# Control characters and the backslash, encoded: no honest link has them, and somebody behind may decode them.
_bad_escape: Final = re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff]|5[Cc])").search
# Everything that RFC 3986 does not allow to stand bare in a path or query, and a percent sign that escapes nothing.
_bare: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%]")
_path_end: Final = re.compile(r"[?#]")
_second_slash: Final = re.compile(rb"/[/\\]").match
# A percent sign that was encoded again and again: what it is in the end, in one step.
_chain: Final = re.compile(rb"%(?:25)+(?=[0-9A-Fa-f]{2})")


def safe_next(raw: str, own: Collection[str] = ()) -> str | None:
    """Return where to go after the login, ready for Location, or None when `raw` is refused.

    What comes back is a path on this very origin in every browser's reading; it is only encoded, never repaired, and
    encoding it again changes nothing. `raw` is the field's value, form-decoded once. `own` are the plain paths that
    lead nowhere after a login: those of login and logout.

    Refused: everything that does not begin with exactly one slash (an encoded one counts, at any depth), white space, control
    characters and backslashes, also encoded, whatever is not ASCII, dot segments also encoded or with parameters, and
    what is longer than `MAX_NEXT`.
    """
    # First the length: the rest then costs little, whatever was sent.
    if len(raw) > MAX_NEXT or _shape(raw) is None or _bad_escape(raw) is not None:
        return None
    decoded = unquote_to_bytes(_path_end.split(raw)[0])
    twice = unquote_to_bytes(decoded)
    # What is a dot segment when decoded once still is one when decoded twice.
    # A second slash is none at any depth: whoever decodes once too often reads a host.
    if dot_segment(twice) is not None or _second_slash(_whole(twice)) is not None:
        return None
    if _bare_path(decoded) in {_bare_path(path.encode()) for path in own}:
        return None
    reference, mark, fragment = raw.partition("#")
    encoded = _encode(reference) + mark + _encode(fragment)
    return encoded if len(encoded) <= MAX_NEXT else None


def login_location(login: str, target: bytes, own: Collection[str] = ()) -> bytes:
    """Return the Location that leads to the sign-in page at the path `login`, and back to `target` afterwards.

    `target` is a request's own, path and query. One that no login would accept is left out, so that nobody is sent to a
    page that then refuses him.
    """
    wanted = safe_next(target.decode("ascii", "replace"), own)
    location = _encode(login)
    if wanted is not None:
        # `+` is encoded too: a form's reader takes a bare one for a blank.
        location += "?next=" + quote(wanted, safe="")
    return location.encode("ascii")


def _whole(path: bytes) -> bytes:
    """Return a path from which nothing more can be decoded; each step takes off a third or more of what is left to do."""
    while (less := unquote_to_bytes(_chain.sub(b"%", path))) != path:
        path = less
    return path


def _bare_path(path: bytes) -> bytes:
    return path.rstrip(b"/")


def _encode(text: str) -> str:
    return _bare.sub(lambda found: quote(found[0], safe=""), text)
