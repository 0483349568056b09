"""Keep the log of httpx silent while this adapter speaks: it writes URLs down, and this scheme's carry the password."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SPEAKING: ContextVar[bool] = ContextVar("mtapi_speaking", default=False)
_ROOTS = ("httpx", "httpcore")


class _Silence(logging.Filter):
    """Lets nothing pass that is logged by a request of ours, and everything else."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _SPEAKING.get()


_SILENCE = _Silence()


@contextmanager
def quietly() -> Iterator[None]:
    """Log nothing of the HTTP client inside this block, whatever its level; other clients' requests are not touched."""
    known = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in _ROOTS]
    for name in (*_ROOTS, *known):
        logging.getLogger(name).addFilter(_SILENCE)  # once each: a filter that is there is not added again
    token = _SPEAKING.set(True)
    try:
        yield
    finally:
        _SPEAKING.reset(token)
