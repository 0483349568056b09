"""Offer a folder of CSV, Parquet and JSON files as a data provider; each file is one series, told by its name."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tradelab.adapters.registry import AdapterSpec, Purpose, checked, fields_of
from tradelab.catalog.frame import time_ns
from tradelab.catalog.importing import read_file
from tradelab.model.account import AccountInfo
from tradelab.model.capabilities import DataCapabilities, Evidence
from tradelab.model.clock import Clock
from tradelab.model.credentials import Credentials
from tradelab.model.errors import (
    ConnectivityError,
    ParameterError,
    RequestError,
    StorageError,
    TradelabError,
    UnknownNameError,
)
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.ports import ConnectionTest
from tradelab.model.units import Timeframe

_ENDINGS = (".csv", ".txt", ".tsv", ".parquet", ".json", ".jsonl")
_NAME = re.compile(r"(?P<symbol>.+)[-_ .](?P<timeframe>[A-Za-z0-9]+)")
_PAGE = 5_000

SeriesKey = tuple[str, Timeframe]


class FilesSettings(BaseModel):
    """Where the files are and how their times are to be read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(description="the folder; a file EURUSD-1h.csv in it is the series EURUSD of one hour")
    tz: str | None = Field(None, description="time zone of stamps that name none, such as Europe/Berlin")
    date_format: str | None = Field(None, description="how dates are written where they could be read two ways")
    instruments: tuple[Instrument, ...] = Field((), description="what is traded, which no file of bars says")
    name: str = Field("files", min_length=1, description="what the data is filed under")


@dataclass(frozen=True, slots=True)
class _Series:
    """A file as it was when it was read."""

    stamp: tuple[int, int]  # time of last change, size
    opens_ns: np.ndarray
    rows: np.ndarray  # shape (bars, 5): open, high, low, close, volume


class FilesProvider:
    """A :class:`~tradelab.model.ports.DataProvider` over one folder.

    A file is named by its symbol and its timeframe, ``EURUSD-1h.csv`` or ``BTC_USDT_M5.parquet.gz``; all that
    :func:`tradelab.catalog.importing.read_file` reads can be in it. A file that changes is read again. Its last bar is
    marked open as long as the clock says that it may still form.
    """

    def __init__(self, settings: FilesSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._read: dict[Path, _Series] = {}
        self._files: dict[SeriesKey, Path] = {}
        self._is_connected = False

    def __repr__(self) -> str:
        return f"FilesProvider(name={self.name!r}, folder={self._settings.folder.name!r})"

    @property
    def name(self) -> str:
        """What the data is filed under."""
        return self._settings.name

    @property
    def is_connected(self) -> bool:
        """Whether the folder was listed."""
        return self._is_connected

    @property
    def data_capabilities(self) -> DataCapabilities:
        """The timeframes that there are files of."""
        return DataCapabilities(timeframes=tuple(t for t in Timeframe if t in self._timeframes), page_bars=_PAGE)

    async def connect(self) -> None:
        """List the folder.

        Raises
        ------
        ParameterError
            There is no such folder, a file's name tells no series, or two tell the same.
        """
        self._files = await asyncio.to_thread(_listed, self._settings.folder)
        self._is_connected = True

    async def disconnect(self) -> None:
        """Forget what was read."""
        self._is_connected = False
        self._read.clear()

    async def test_connection(self) -> ConnectionTest:
        """List the folder and read every file."""
        began = time.perf_counter()
        try:
            files = await asyncio.to_thread(_listed, self._settings.folder)
            for path in files.values():
                await asyncio.to_thread(self._load, path)
        except TradelabError as error:
            return ConnectionTest(False, str(error))
        took_ms = (time.perf_counter() - began) * 1_000
        if not files:
            return ConnectionTest(False, f"there is no file of bars in {self._settings.folder}", took_ms)
        return ConnectionTest(True, f"{len(files)} series, every file read", took_ms)

    async def now_ns(self) -> int:
        """Return our own time: a folder has none."""
        return self._clock.now_ns()

    async def instruments(self) -> Sequence[Instrument]:
        """Return those of the settings: files do not tell steps and limits."""
        return list(self._settings.instruments)

    async def symbols(self) -> Sequence[str]:
        """Return the symbols that there are files of."""
        self._require_connected()
        return sorted({symbol for symbol, _ in self._files})

    async def fetch_ohlcv(
        self, symbol: str, timeframe: Timeframe, *, since_ns: int | None = None, limit: int | None = None
    ) -> Sequence[Candle]:
        """Return one page of bars, oldest first.

        Raises
        ------
        UnknownNameError
            There is no file of that series.
        CorruptFileError, TimestampError, QualityError
            The file cannot be read, or what is in it are no bars of that timeframe.
        """
        self._require_connected()
        path = self._path(symbol, timeframe)
        series = await asyncio.to_thread(self._load, path)
        most = min(limit or _PAGE, _PAGE)
        if since_ns is None:
            first = max(len(series.opens_ns) - most, 0)
        else:
            first = int(np.searchsorted(series.opens_ns, since_ns))
        now_ns = self._clock.now_ns()
        stamps = series.opens_ns[first : first + most].tolist()
        rows = series.rows[first : first + most].tolist()
        return [
            Candle(stamp, open_, high, low, close, volume, timeframe.next_open(stamp) <= now_ns)
            for stamp, (open_, high, low, close, volume) in zip(stamps, rows, strict=True)
        ]

    async def fetch_ticks(self, symbol: str, *, limit: int = 100) -> Sequence[Tick]:
        """Refuse: files hold bars."""
        self._refuse("ticks")

    async def account_info(self) -> AccountInfo:
        """Refuse: a folder has no account."""
        self._refuse("an account")

    def watch_candles(self, symbol: str, timeframe: Timeframe) -> AsyncIterator[Candle]:
        """Refuse: files push nothing; ask :meth:`fetch_ohlcv` again."""
        self._refuse("a stream of candles")

    def watch_quotes(self, symbol: str) -> AsyncIterator[Quote]:
        """Refuse: files push nothing."""
        self._refuse("a stream of quotes")

    @property
    def _timeframes(self) -> set[Timeframe]:
        return {timeframe for _, timeframe in self._files}

    def _path(self, symbol: str, timeframe: Timeframe) -> Path:
        found = self._files.get((symbol, timeframe))
        if found is None:
            known = [f"{s}-{t.alias}" for s, t in self._files]
            raise UnknownNameError.of("series", f"{symbol}-{timeframe.alias}", known, fix=f"Files of {self.name!r}.")
        return found

    def _load(self, path: Path) -> _Series:
        try:
            told = path.stat()
        except OSError as error:
            raise StorageError(f"{path.name} cannot be read: {error.strerror}.", fix="Connect again.") from error
        stamp = (told.st_mtime_ns, told.st_size)
        there = self._read.get(path)
        if there is None or there.stamp != stamp:
            bars, _ = read_file(path, tz=self._settings.tz, date_format=self._settings.date_format)
            rows = bars[["open", "high", "low", "close", "volume"]].to_numpy(float)
            there = self._read[path] = _Series(stamp, time_ns(bars), rows)
        return there

    def _refuse(self, what: str) -> NoReturn:
        raise RequestError(f"a folder of files has no {what.removeprefix('a ').removeprefix('an ')}.")

    def _require_connected(self) -> None:
        if not self._is_connected:
            raise ConnectivityError("the folder has not been listed.", fix="await provider.connect()")


def _listed(folder: Path) -> dict[SeriesKey, Path]:
    """The files of a folder by symbol and timeframe; what does not end like bars is passed over."""
    if not folder.is_dir():
        raise ParameterError(f"folder={str(folder)!r} is no folder.", fix="Name the folder that holds the files.")
    found: dict[SeriesKey, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = path.name.lower().removesuffix(".gz")
        ending = next((e for e in _ENDINGS if stem.endswith(e)), None)
        if ending is None or path.name.startswith(".") or not path.is_file():
            continue
        key = _series_of(path.name[: len(stem) - len(ending)], path.name)
        if key in found:
            raise ParameterError(
                f"{found[key].name} and {path.name} are both {key[0]} of {key[1].alias}.", fix="Move one of them away."
            )
        found[key] = path
    return found


def _series_of(stem: str, name: str) -> SeriesKey:
    told = _NAME.fullmatch(stem)
    try:
        if told is not None:
            return told["symbol"], Timeframe.of(told["timeframe"])
    except ParameterError:
        told = None
    raise ParameterError(
        f"{name} does not tell its symbol and timeframe.",
        fix="Name it like EURUSD-1h.csv, or move it out of the folder.",
    )


def _open(settings: Mapping[str, Any], credentials: Credentials, clock: Clock) -> FilesProvider:
    return FilesProvider(checked(FilesSettings, settings, "files"), clock)


SPEC = AdapterSpec(
    provider="files",
    title="Folder of CSV, Parquet and JSON files",
    evidence=Evidence.PAYLOAD_TESTED,
    purposes=frozenset({Purpose.DATA}),
    open=_open,
    settings=fields_of(FilesSettings),
)
