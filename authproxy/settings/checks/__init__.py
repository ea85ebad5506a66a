"""What no single key can tell: names that must exist, and settings that contradict one another.

Every check yields findings and goes on; each sees settings whose own keys are right.
"""

from collections.abc import Iterator

from authproxy.settings.checks import doors, names, redirects, routes, service, sessions, tunnels, ways, zones
from authproxy.settings.checks.finding import Finding, Known
from authproxy.settings.model import Settings


def check(settings: Settings, known: Known) -> Iterator[Finding]:
    """Yield everything that is wrong between the sections."""
    yield from names.check(settings, known)
    yield from doors.check(settings, known)
    yield from redirects.check(settings, known)
    yield from tunnels.check(settings)
    yield from zones.check(settings)
    yield from sessions.check(settings)
    yield from ways.check(settings)
    yield from routes.check(settings, known)
    yield from service.check(settings)
