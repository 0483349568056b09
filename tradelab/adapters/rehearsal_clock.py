"""Take the time from a rehearsal venue, whose market may run faster than this machine's clock."""

from __future__ import annotations

import time
from typing import Any

from tradelab.adapters.ccxt_client import require_loopback
from tradelab.model.clock import Clock, ScaledClock, SystemClock
from tradelab.model.errors import ConfigError

_SAMPLES = 5
_PATIENCE_S = 2.0


async def follow(url: str, *, samples: int = _SAMPLES, timeout_s: float = _PATIENCE_S) -> ScaledClock | None:
    """Return a clock that runs with the market of the rehearsal at ``url``; ``None`` where no rehearsal answers.

    ``GET /rehearsal/clock`` tells its time and its speed. The question that took the shortest way is believed, half of
    its way allowed for: at sixty times the speed, ten milliseconds are more than half a second of the market.

    Parameters
    ----------
    url
        Of this machine; no other is asked.
    timeout_s
        How long one answer is waited for.

    Raises
    ------
    ConfigError
        Its clock is moved by hand, so that nothing can run with it.
    """
    import httpx

    best: tuple[int, int, int, float] | None = None  # way, when it was half done, time told, speed
    async with httpx.AsyncClient(trust_env=False, timeout=timeout_s) as http:
        for _ in range(samples):
            began = time.monotonic_ns()
            try:
                told = _told(await http.get(f"{url.rstrip('/')}/rehearsal/clock"))
            except httpx.HTTPError:
                return None
            way = time.monotonic_ns() - began
            if told is None:
                return None
            if best is None or way < best[0]:
                best = (way, began + way // 2, *told)
    assert best is not None
    _, middle_ns, told_ns, speed = best
    if speed <= 0:
        raise ConfigError(
            f"the clock of the rehearsal at {url} is moved by hand, and cannot be followed.",
            fix="Give its adapter the same clock, or start it with `tradelab rehearse`.",
        )
    return ScaledClock(told_ns + int((time.monotonic_ns() - middle_ns) * speed), speed)


async def clock_of(base_url: object, *, patience_s: float = _PATIENCE_S) -> Clock:
    """Return the clock that a connection runs by: the rehearsal's where its address is one, else the machine's."""
    if isinstance(base_url, str) and is_here(base_url):
        return await follow(base_url, timeout_s=patience_s) or SystemClock()
    return SystemClock()


def is_here(url: str) -> bool:
    """Whether an address is on this machine.

    >>> is_here("http://127.0.0.1:8000"), is_here("https://example.com")
    (True, False)
    """
    try:
        require_loopback(url)
    except ConfigError:
        return False
    return True


def _told(answer: Any) -> tuple[int, float] | None:
    """Return time and speed of an answer; ``None`` where somebody else answered."""
    try:
        body = answer.json()
        return int(body["now_ns"]), float(body["speed"])
    except (ValueError, KeyError, TypeError):
        return None
