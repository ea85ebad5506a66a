"""Section `zones`: who may come in, isolated from one another."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, create_model, model_validator

from authproxy.core.redirect import safe_next
from authproxy.options import Duration, LocalPath, SecretRef, Whole, duration_text
from authproxy.settings.section import Section, bounded
from authproxy.settings.words import Name, Prefix, UrlPath, at_least_one, later

Credential: TypeAlias = Literal["token", "session", "certificate"]
Demanded: TypeAlias = Annotated[Literal["token", "certificate"], later("session", now="token or certificate")]
CertificateName: TypeAlias = Literal["uri", "spiffe", "dns", "email", "cn", "fingerprint"]


class _CertificateIdentity(Section):
    """How client certificates tell who is calling."""

    FILLED = frozenset({"trust"})

    trust: Name
    """The truststore that a certificate must lead to, besides the listener's; by default the only one."""
    users: LocalPath | None = None
    """The file that says whose name is whose (YAML); without it the name must be a user id itself."""

    @property
    def sources(self) -> tuple[CertificateName, ...]:
        """The kinds of names in `from`, which is no name that Python takes for a field."""
        kinds: tuple[CertificateName, ...] = getattr(self, "from")
        return kinds


if TYPE_CHECKING:
    CertificateIdentity = _CertificateIdentity
else:
    _SOURCES = "The kinds of names that count, in this order; the first that the certificate has any of decides."
    _FROM = (Annotated[tuple[CertificateName, ...], at_least_one("kind of name")], Field(description=_SOURCES))
    CertificateIdentity = create_model(
        "CertificateIdentity", __base__=_CertificateIdentity, __doc__=_CertificateIdentity.__doc__, **{"from": _FROM}
    )


_SHORTEST: Final = timedelta(minutes=1)
_LONGEST: Final = timedelta(days=90)
# RFC 6265bis, 4.1.1: a token; the prefix makes browsers take the cookie from this host alone, over TLS.
_COOKIE: Final = re.compile(r"__Host-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
_MAX_TITLE: Final = 100


def _lifetime(value: timedelta) -> timedelta:
    if not _SHORTEST <= value <= _LONGEST:
        least, most = duration_text(_SHORTEST), duration_text(_LONGEST)
        raise ValueError(f"must be between {least} and {most}, is {duration_text(value)}")
    return value


def _cookie_name(value: str) -> str:
    if not _COOKIE.fullmatch(value):
        raise ValueError("must begin with __Host- and go on with 1 to 64 letters, digits, - or _")
    return value


def _reference(value: str) -> str:
    if safe_next(value) != value:
        raise ValueError("must be a path of this very host, such as / or /app?from=login")
    return value


def _title(value: str) -> str:
    if not value.strip() or len(value) > _MAX_TITLE or not value.isprintable():
        raise ValueError(f"must be 1 to {_MAX_TITLE} characters that can be seen")
    return value


class SessionLife(Section):
    """How long people stay signed in, and the cookie that says so."""

    idle: Annotated[Duration, AfterValidator(_lifetime)] = timedelta(hours=4)
    """How long a session lasts without being used; `absolute`, where that alone is given and is shorter."""
    absolute: Annotated[Duration, AfterValidator(_lifetime)] = timedelta(hours=12)
    """How long it lasts however much it is used."""
    cookie: Annotated[str, AfterValidator(_cookie_name)] | None = None
    """The cookie's name; by default `__Host-authproxy-<zone>`."""
    same_site: Literal["lax", "strict"] = "lax"
    """Whether a link on another site leads to a page as somebody signed in: lax, it does; strict, only the next one does."""
    per_user: Annotated[Whole, bounded(1, 1000)] = 10
    """Sessions that one user may have; one more ends the oldest."""

    @model_validator(mode="after")
    def _is_idle_within(self) -> Self:
        if self.idle > self.absolute:
            raise ValueError(f"idle is longer than absolute, which is {duration_text(self.absolute)}: shorten it")
        return self


class Login(Section):
    """Where people sign in and out."""

    path: UrlPath = "/auth/login"
    """The page with the form."""
    after: Annotated[str, AfterValidator(_reference)] = "/"
    """Where signing in leads when no page was asked for."""
    logout_path: UrlPath = "/auth/logout"
    """Where a form is posted to that signs out."""
    after_logout: Annotated[str, AfterValidator(_reference)] = "/auth/logout/success"
    """Where signing out leads, by default `success` under `logout_path`; a path under that one is a page of this proxy's."""
    title: Annotated[str, AfterValidator(_title)] = "Sign in"
    """The heading of the page."""


class Zone(Section):
    """One kind of credential and the rows it is checked against, isolated from other zones."""

    accepts: Annotated[tuple[Credential, ...], at_least_one("credential")] = ("token",)
    """Which credentials count, any of them: `token`, `session`, `certificate`; of several that are shown, the first."""
    require: tuple[Demanded, ...] = ()
    """Credentials that must be shown all at once, naming the same user; then `accepts` offers no other way."""
    prefix: Prefix | None = None
    """The text that every token of this zone begins with, up to its first underscore; letter case does not count."""
    peppers: Annotated[tuple[SecretRef, ...], at_least_one("pepper")] = ()
    """References to the secrets that hashes are keyed with, newest first: old ones still verify."""
    max_grace: Duration = timedelta(days=30)
    """The longest time that a replaced token may go on working."""
    catalog: Name
    """The catalog that knows the users."""
    certificate: CertificateIdentity | None = None
    """How client certificates tell who is calling."""

    sessions: Name | None = None
    """The store of its sessions; by default the only one."""
    session: SessionLife | None = None
    """How long people stay signed in, and the cookie that says so."""
    login: Login | None = None
    """Where people sign in and out."""

    @property
    def counts(self) -> frozenset[Credential]:
        """The credentials that a request may be asked for."""
        return frozenset(self.require or self.accepts)
