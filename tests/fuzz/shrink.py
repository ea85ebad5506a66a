"""Makes a case that breaks a rule smaller, as long as it breaks the same rule."""

from dataclasses import replace

from tests.fuzz.grammar import Case


def shrink_candidates(case: Case) -> list[Case]:
    """Smaller cases that may show the same, the boldest first."""
    found = []
    if len(case.client) > 1 or case.expect is not None:
        found.append(replace(case, client=(case.sent,), expect=None))
    if case.scripts:
        found.append(replace(case, scripts=(), expect=None))
        found.extend(
            replace(case, scripts=case.scripts[:at] + case.scripts[at + 1 :], expect=None)
            for at in range(len(case.scripts))
        )
    if case.trusted or case.catalog or case.dial:
        found += [replace(case, trusted=False), replace(case, catalog=""), replace(case, dial="")]
    for at, step in enumerate(case.client):
        found.append(replace(case, client=case.client[:at] + case.client[at + 1 :], expect=None))
        if isinstance(step, bytes):
            for less in _less(step):
                found.append(replace(case, client=(*case.client[:at], less, *case.client[at + 1 :]), expect=None))
    for number, script in enumerate(case.scripts):
        joined = b"".join(piece for piece in script.pieces if isinstance(piece, bytes))
        for less in ((joined,) if len(script.pieces) > 1 else ()) + tuple(_less(joined)):
            smaller = replace(script, pieces=(less,))
            found.append(
                replace(case, scripts=(*case.scripts[:number], smaller, *case.scripts[number + 1 :]), expect=None)
            )
    return found


def _less(data: bytes) -> list[bytes]:
    lines = data.split(b"\r\n")
    shorter = [b"\r\n".join(lines[:at] + lines[at + 1 :]) for at in range(len(lines)) if len(lines) > 1]
    size = len(data) // 2
    while size:
        shorter += [data[:at] + data[at + size :] for at in range(0, len(data), size)]
        size //= 2
        if len(data) > 400 and size < len(data) // 64:
            break
    return shorter
