"""Write an engine's health as figures for Prometheus: streams, the venues' clocks, leases, modules, workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tradelab.app.metrics_page import Labels, Metric


def health_metrics(told: Mapping[str, Any], leases: list[dict[str, Any]]) -> list[Metric]:
    """Return the figures of a health as it was told; what is not known has no line.

    Parameters
    ----------
    told
        What :meth:`tradelab.spine.node.Node.health` says, as JSON has it.
    leases
        Of the records: ``account``, ``left_s``, ``ours``.
    """
    streams = [(_labels(one, "what", "of", "symbol"), one) for one in told.get("streams", ())]
    clocks = [({"of": name}, one) for name, one in told.get("clocks", {}).items()]
    held = [({"account": one["account"]}, one) for one in leases]
    return [
        Metric("stream_connected", "gauge", "Whether a stream is open.", _of(streams, "connected")),
        Metric("stream_polled", "gauge", "Whether it is asked for by REST.", _of(streams, "polled")),
        Metric("stream_age_seconds", "gauge", "Since a stream told something new.", _of(streams, "age_s")),
        Metric("stream_reconnects_total", "counter", "How often it was opened again.", _of(streams, "reconnects")),
        Metric("venue_clock_offset_seconds", "gauge", "A venue's time less ours.", _of(clocks, "offset_ms", 1e-3)),
        Metric("venue_clock_trip_seconds", "gauge", "Of the question for it.", _of(clocks, "trip_ms", 1e-3)),
        Metric("venue_clock_age_seconds", "gauge", "Since it was measured.", _of(clocks, "age_s")),
        Metric("lease_left_seconds", "gauge", "Until the lease of an account ends.", _of(held, "left_s")),
        Metric("lease_ours", "gauge", "Whether this engine holds it.", _of(held, "ours")),
        Metric(
            "module_on", "gauge", "Whether a module works; 0: it failed and was left out.",
            [({"module": name}, how == "on") for name, how in told.get("modules", {}).items()],
        ),
        Metric(
            "workers", "gauge", "What runs beside the bus, by module.",
            [({"module": name}, len(names)) for name, names in told.get("workers", {}).items()],
        ),
    ]  # fmt: skip


def _of(rows: Sequence[tuple[Labels, Mapping[str, Any]]], name: str, unit: float = 1.0) -> list[tuple[Labels, float]]:
    return [(labels, float(one[name]) * unit) for labels, one in rows if one.get(name) is not None]


def _labels(one: Mapping[str, Any], *names: str) -> Labels:
    return {name: one[name] or "" for name in names}
