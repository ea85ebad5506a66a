"""Defaults that depend on the rest of the file, filled in before validation so that a checked value always has them.

The only keystore, truststore, zone or listener stands for itself where one is needed. Where there are several, nothing is filled in
and the missing key is told. Whatever is not shaped as it should be is left for the validation to tell.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Final

from authproxy.core.redirect import safe_next
from authproxy.options import duration_text, parse_duration, parse_size
from authproxy.settings.values import Value

_CHECK: Final = timedelta(seconds=2)
_SHORTEST: Final = timedelta(minutes=1)
_IDLE: Final = timedelta(hours=4)
_LINE: Final = 8190


def fill(values: dict[str, Value]) -> dict[str, Value]:
    """Return the values of a file with these defaults, and with short forms written out."""
    filled = dict(values)
    keystore, zone = _only(values, "keystores"), _only(values, "zones")
    zones, listeners = values.get("zones"), values.get("listeners")
    upstreams, routes = values.get("upstreams"), values.get("routes")
    if isinstance(listeners, dict):
        filled["listeners"] = {name: _listener(one, keystore) for name, one in listeners.items()}
    if isinstance(upstreams, dict):
        filled["upstreams"] = {name: _upstream(one) for name, one in upstreams.items()}
    if isinstance(zones, dict):
        filled["zones"] = {
            name: _zone(one, _only(values, "truststores"), _only(values, "sessions")) for name, one in zones.items()
        }
    if isinstance(routes, list):
        names: list[Value] = (
            [name for name, one in listeners.items() if _mode(one) not in {"redirect", "tcp"}]
            if isinstance(listeners, dict)
            else []
        )
        filled["routes"] = [_route(one, names, zone) for one in routes]
    if isinstance(ops := values.get("ops"), dict) and _client_mode(ops) in {"optional", "required"}:
        filled["ops"] = _with(ops, "keystore", keystore)
    if isinstance(limits := values.get("limits"), dict):
        filled["limits"] = _with(limits, "line", _line(limits.get("head")))
    return filled


def _only(values: dict[str, Value], section: str) -> str | None:
    named = values.get(section)
    return next(iter(named)) if isinstance(named, dict) and len(named) == 1 else None


def _with(values: dict[str, Value], key: str, default: Value) -> dict[str, Value]:
    return values if key in values or default is None else {**values, key: default}


def _mode(holder: Value) -> str | None:
    """Return the word under `mode`; None also for what is no word, which the validation tells."""
    mode = holder.get("mode") if isinstance(holder, dict) else None
    return mode if isinstance(mode, str) else None


def _listener(value: Value, keystore: str | None) -> Value:
    # A redirect listener speaks no TLS: what is written about it there is told, and nothing is filled in.
    if not isinstance(value, dict) or _mode(value) == "redirect":
        return value
    # TLS 1.3 alone hides client certificates from onlookers, and every client that has one can speak it.
    minimum = "1.3" if _client_mode(value) == "required" or _mode(value) == "tcp" else "1.2"
    tls = value.get("tls")
    tls = {} if tls is None else tls
    return {
        **_with(value, "keystore", keystore),
        "tls": _with(tls, "minimum", minimum) if isinstance(tls, dict) else tls,
    }


def _client_mode(value: dict[str, Value]) -> str | None:
    return _mode(value.get("client_certificates"))


def _zone(value: Value, truststore: str | None, sessions: str | None) -> Value:
    if not isinstance(value, dict):
        return value
    accepted = value.get("accepts")
    if isinstance(accepted, list) and "session" in accepted:
        value = _with(_with(_with(value, "sessions", sessions), "session", {}), "login", {})
        value = {**value, "session": _life(value.get("session")), "login": _login(value.get("login"))}
    if isinstance(certificate := value.get("certificate"), dict):
        value = {**value, "certificate": _with(certificate, "trust", truststore)}
    return value


def _life(value: Value) -> Value:
    """Whoever shortens `absolute` alone need not say that nobody idles longer than that."""
    if isinstance(value, dict) and isinstance(absolute := value.get("absolute"), str):
        with suppress(ValueError):
            return _with(value, "idle", absolute if _SHORTEST <= parse_duration(absolute) < _IDLE else None)
    return value


def _login(value: Value) -> Value:
    """The page after the logout goes where the logout goes; what no path can be is told by the validation."""
    if isinstance(value, dict) and isinstance(logout := value.get("logout_path"), str):
        page = f"{logout.rstrip('/')}/success"
        return _with(value, "after_logout", page if safe_next(page) == page else None)
    return value


def _upstream(value: Value) -> Value:
    if isinstance(value, str):
        return {"urls": [value]}
    if isinstance(value, dict) and isinstance(health := value.get("health"), dict):
        return {**value, "health": _with(health, "timeout", _check_timeout(health.get("every")))}
    return value


def _check_timeout(every: Value) -> str:
    """Return how long a health check may take; what `every` cannot be is told by the validation."""
    with suppress(ValueError):
        if isinstance(every, str) and parse_duration(every) < _CHECK:
            return every
    return duration_text(_CHECK)


def _line(head: Value) -> int | None:
    """Return the longest line of a head that is smaller than the usual one, else None."""
    with suppress(ValueError):
        if head is not None and (size := parse_size(head)) < _LINE:
            return size
    return None


def _route(value: Value, listeners: list[Value], zone: str | None) -> Value:
    if not isinstance(value, dict):
        return value
    value = _with(value, "listeners", listeners or None)
    return value if value.get("public") is True else _with(value, "zone", zone)
