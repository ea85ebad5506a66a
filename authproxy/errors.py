"""Every exception that somebody catches by name.

Expected outcomes (a refused request) are values, see `authproxy.core.decision`; exceptions are failures.
Messages are one clause, lower case, without a full stop, and name file and key.
"""

import errno
import os


def why(error: OSError) -> str:
    """Return what the system says, to stand in a message; where it refuses, also to whom.

    In a container that is the question: the file belongs to the user who made it, and this process is another one.
    """
    reason = error.strerror or str(error) or "unknown error"
    whom = f" to user {os.geteuid()}" if error.errno in {errno.EACCES, errno.EPERM} else ""
    return f"{reason[:1].lower()}{reason[1:]}{whom}"


class AuthproxyError(Exception):
    """Anything this program raises on purpose."""


class ConfigError(AuthproxyError):
    """The configuration, or a file that it names, cannot be used.

    `problems` are whole lines for a person: `file:line:column: dotted.key: what is wrong (cure)`.
    At start the process exits with `exit_code`; at reload the old state goes on.
    """

    exit_code = 78

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SecretError(ConfigError):
    """A secret is missing, unreadable, or readable by people it should not be readable by."""

    exit_code = 77


class MaterialError(AuthproxyError):
    """A key, certificate, trust or catalog file is unusable.

    Raised by the families that read such files, who do not know which configuration key named the file;
    whoever knows adds it (`daemon.build`).
    """

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}")
        self.source = source
        self.problem = problem


class UnreadableCertificate(AuthproxyError):
    """A peer's certificate, or something in it, cannot be read: whoever shows it is nobody, and is refused."""


class DependencyError(AuthproxyError):
    """Something outside this process that a request needs did not do its part."""


class CatalogUnavailable(DependencyError):
    """A catalog could not say whether it knows a user: 503, never 401 and never a pass."""


class SessionStoreUnavailable(DependencyError):
    """A session store could not say whether it knows a session, or could not keep or end one: 503, never 401."""


class UpstreamUnreachable(DependencyError):
    """No verified connection to the upstream: refused, reset, or its certificate or name not verified: 502."""


class UpstreamTimeout(DependencyError):
    """The upstream took longer than its `timeouts` allow: 504."""
