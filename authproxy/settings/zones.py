"""Section `zones`: who may come in, isolated from one another."""

from datetime import timedelta
from typing import Annotated, Literal

from authproxy.options import Duration, SecretRef
from authproxy.settings.section import Section
from authproxy.settings.words import Name, Prefix, at_least_one, later


class Zone(Section):
    """One kind of credential and the rows it is checked against, isolated from other zones."""

    LATER = frozenset({"require", "certificate", "sessions", "session", "login"})

    accepts: Annotated[
        tuple[Annotated[Literal["token"], later("session", "certificate", now="token")], ...],
        at_least_one("credential"),
    ] = ("token",)
    """Which credentials count: `token`."""
    prefix: Prefix
    """The text that every token of this zone begins with, up to its first underscore; letter case does not count."""
    peppers: Annotated[tuple[SecretRef, ...], at_least_one("pepper")]
    """References to the secrets that hashes are keyed with, newest first: old ones still verify."""
    max_grace: Duration = timedelta(days=30)
    """The longest time that a replaced token may go on working."""
    catalog: Name
    """The catalog that knows the users."""
