"""Listeners of mode tcp: what the settings say becomes a plan, and a tunnel's end a line and a few numbers."""

import asyncio
import json
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from authproxy import events
from authproxy.core.place import Place
from authproxy.core.stats import Stats, TunnelStats
from authproxy.daemon import log
from authproxy.door.acceptor import Factory
from authproxy.edge.services import Services
from authproxy.runtime import ProxyHeader, TunnelPlan
from authproxy.settings import Loaded, Settings
from authproxy.settings.addresses import UnixSocket
from authproxy.settings.listeners import Listener
from authproxy.tunnel.ended import Ended
from authproxy.tunnel.means import Means
from authproxy.tunnel.tunnel import Tunnel

_LOG: Final = log.get("authproxy.tunnel")
_LABELS: Final = ("listener",)


def plan_of(settings: Settings, listener: Listener) -> TunnelPlan | None:
    """Return what a listener does with its connections; None unless it is of mode tcp."""
    target, times = listener.target, listener.timeouts
    if listener.mode != "tcp" or target is None:
        return None
    way = Place(unix=target.path) if isinstance(target, UnixSocket) else Place(host=target.host, port=target.port)
    return TunnelPlan(
        way=way,
        header=ProxyHeader(listener.send_proxy),
        connect=times.connect.total_seconds(),
        idle=(times.idle or settings.timeouts.tunnel_idle).total_seconds(),
        half_close=times.half_close.total_seconds(),
        life=None if times.life is None else times.life.total_seconds(),
    )


def notes_of(loaded: Loaded) -> list[str]:
    """Return a line for each listener of mode tcp that asks nobody who he is: the target had better do so."""
    return [
        f"{loaded.where('listeners', name)}: asks for no client certificate: whoever reaches it reaches its target "
        "(client_certificates: {mode: required})"
        for name, listener in loaded.settings.listeners.items()
        if listener.mode == "tcp" and listener.client_certificates.mode != "required"
    ]


def tunnels(services: Services, listener: str, stats: TunnelStats) -> Factory:
    """Return what makes the connections of a listener of mode tcp."""

    def report(ended: Ended) -> None:
        """Write its line."""
        if services.journal.on:
            services.journal.add_line(events.TCP_CLOSED, line_of(ended))

    def on_crash(error: BaseException) -> None:
        """Log it with its traceback."""
        services.stats.crashes["connection"] += 1
        _LOG.error(events.CONNECTION_CRASHED, listener=listener, exc_info=error)

    means = Means(
        current=services.current,
        connections=services.connections,
        spawn=services.spawn,
        monotonic=services.monotonic,
        now=services.now,
        report=report,
        on_revoked=services.on_revoked,
        on_crash=on_crash,
    )

    def connection(overloaded: bool) -> asyncio.Protocol:  # a factory's one argument
        """Return the protocol of one connection."""
        return Tunnel(means, listener, stats, is_spare=overloaded).protocol

    return connection


def line_of(ended: Ended) -> bytes:
    """Return the members of its line: in ASCII, whatever stands in the certificate."""
    facts: dict[str, object] = {
        "listener": ended.listener,
        "generation": ended.generation,
        "client": ended.client,
        "target": ended.target,
        "certificate": ended.certificate,
        "subject": ended.subject,
        "received": ended.received,
        "sent": ended.sent,
        "duration_ms": round(ended.duration * 1e3, 2),
        "connect_ms": round(ended.waited * 1e3, 2),
    }
    if ended.end.value:
        facts["reason"] = ended.end.value
    if ended.detail:
        facts["error"] = ended.detail
    return json.dumps(facts, separators=(",", ":")).encode()[1:-1]


def tunnel_families(stats: Stats) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
    """Return what is counted of the connections of each listener of mode tcp."""
    standing = GaugeMetricFamily(events.METRIC_TCP_OPEN, "Connections of tcp listeners that stand.", labels=_LABELS)
    opened = CounterMetricFamily(events.METRIC_TCP_OPENED, "Connections that came, shaken hands.", labels=_LABELS)
    closed = CounterMetricFamily(
        events.METRIC_TCP_CLOSED, "Connections that ended, by reason.", labels=[*_LABELS, "reason"]
    )
    received = CounterMetricFamily(events.METRIC_TCP_RECEIVED, "Bytes of clients, passed on.", labels=_LABELS)
    sent = CounterMetricFamily(events.METRIC_TCP_SENT, "Bytes of targets, passed on.", labels=_LABELS)
    for name, counted in stats.tunnels.items():
        standing.add_metric([name], counted.open)
        opened.add_metric([name], counted.opened)
        received.add_metric([name], counted.received)
        sent.add_metric([name], counted.sent)
        for reason, count in counted.ends.items():
            closed.add_metric([name, reason], count)
    yield from (standing, opened, closed, received, sent)
