"""Section `zones`: who may come in, isolated from one another."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, create_model

from authproxy.options import Duration, LocalPath, SecretRef
from authproxy.settings.section import Section
from authproxy.settings.words import Name, Prefix, at_least_one, later

Credential: TypeAlias = Annotated[Literal["token", "certificate"], later("session", now="token or certificate")]
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


class Zone(Section):
    """One kind of credential and the rows it is checked against, isolated from other zones."""

    LATER = frozenset({"sessions", "session", "login"})

    accepts: Annotated[tuple[Credential, ...], at_least_one("credential")] = ("token",)
    """Which credentials count, any of them: `token`, `certificate`. A token outranks a certificate."""
    require: tuple[Credential, ...] = ()
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

    @property
    def counts(self) -> frozenset[Credential]:
        """The credentials that a request may be asked for."""
        return frozenset(self.require or self.accepts)
