"""Keep a node's paper account on disk: it outlives the engine as a venue would, and its money is what it was."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tradelab.adapters import paper_state as state
from tradelab.adapters.paper_account import PaperAccount
from tradelab.adapters.paper_config import PaperConfig
from tradelab.adapters.paper_matching import Matching
from tradelab.adapters.paper_orders import Working
from tradelab.adapters.paper_venue import PaperVenue
from tradelab.model.approval import OrderApproved
from tradelab.model.clock import Clock
from tradelab.model.errors import (
    ConfigError,
    CorruptFileError,
    ParameterError,
    QualityError,
    StorageError,
    UnknownNameError,
)
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.market import Candle, Quote
from tradelab.model.orders import Fill, Order, OrderRef
from tradelab.model.outcome import Outcome
from tradelab.model.ports import DataProvider
from tradelab.spine.config import AccountConfig
from tradelab.spine.refused import read_table

_SAID_ELSEWHERE = ("balances", "name")  # of the terms, beside the settings


def paper_terms(name: str, told: AccountConfig) -> PaperConfig:
    """Return on what terms ``[accounts.<name>]`` trades.

    Raises
    ------
    ConfigError
        A word or a value of its settings is wrong; the message names it, and what would be right.
    """
    where = f"accounts.{name}.settings"
    fix = f"The terms of a paper account stand in [{where}]; its money in accounts.{name}.balances."
    known = [word for word in PaperConfig.model_fields if word not in _SAID_ELSEWHERE]
    for word, value in told.settings.items():
        if word not in known:
            raise UnknownNameError.of(f"word of [{where}]", word, known, fix)
        if isinstance(value, bool):
            raise ParameterError(f"{where}.{word} = {str(value).lower()} is wrong: it is no yes or no.", fix=fix)
    return read_table(PaperConfig, {**told.settings, "balances": told.balances, "name": name}, where)


def paper_file(folder: Path, node: str, account: str) -> Path:
    """Return where a paper account is kept: in a folder of its node, for no two nodes may ever mean one file.

    They could, where it was called ``<node>-<account>.json``: one of that name is taken over. Where its name may be
    another's too, it stays for that one, and what is here goes on with a copy.

    Raises
    ------
    StorageError
        It cannot be taken over.
    """
    path, before = folder / node / f"{account}.json", folder / f"{node}-{account}.json"
    try:
        if not path.exists() and before.is_file():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if before.stem.count("-") > 1:
                before = Path(shutil.copy2(before, path.with_name(f"{path.name}.old")))
            before.replace(path)
    except OSError as error:
        raise StorageError(
            f"the paper account in {before} cannot be moved to {path}: {error.strerror}.",
            fix="Make room, and both writable; then start again.",
        ) from None
    return path


class PaperAccountVenue(PaperVenue):
    """A paper venue whose account is written down before anybody is told what became of it.

    What comes to it happens whole, or it has not happened: where it fails in the middle, or cannot be written down,
    the account is what was written down last, as after a restart, nobody was told anything, and the error is raised.

    Parameters
    ----------
    path
        Where it is kept; there already: it goes on from there.
    source
        Whose instruments are traded, learnt when it connects.
    symbols
        Those that bots trade.
    """

    def __init__(
        self, config: PaperConfig, path: Path, source: DataProvider, symbols: Sequence[str], *, clock: Clock
    ) -> None:
        super().__init__(config, clock=clock)
        self._config, self._clock = config, clock
        self._path = path
        self._source = source
        self._symbols = tuple(symbols)
        self._has_changed = False
        self._kept: dict[str, Any] | None = None  # what was written down last
        self._news: list[object] | None = None  # what is to be told when it is; ``None``: nothing is happening

    async def connect(self) -> None:
        """Learn what is traded, and go on with the account as it was left.

        Raises
        ------
        ConfigError
            The source lists no such symbol, or the account was begun on other terms.
        """
        if not self._source.is_connected:
            await self._source.connect()
        listed = {each.symbol: each for each in await self._source.instruments()}
        missing = [symbol for symbol in self._symbols if symbol not in listed]
        if missing:
            raise ConfigError(f"{self._source.name} lists no {', '.join(missing)}.", fix="See what it lists.")
        self._begin([self._held_as(listed[symbol]) for symbol in self._symbols])
        await super().connect()

    def _begin(self, instruments: list[Instrument]) -> None:
        self._kept = self._saved()
        super().__init__(self._config, instruments, clock=self._clock, saved=self._kept)
        self._forget_quotes()

    def _forget_quotes(self) -> None:
        for seen in self._account.seen.values():
            seen.is_past()  # the market has gone on since: who orders now would trade at a price of yesterday

    def _held_as(self, instrument: Instrument) -> Instrument:
        """Return an instrument as this account holds it: on margin a spot market's is a position, not coins."""
        if self._config.mode == "spot" or instrument.kind is not InstrumentKind.SPOT:
            return instrument
        return replace(instrument, kind=InstrumentKind.CFD, settle=instrument.settle or instrument.quote)

    def _saved(self) -> dict[str, Any] | None:
        try:
            told = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise CorruptFileError(
                f"the paper account in {self._path} cannot be read: {error}.", fix="Move it away to begin anew."
            ) from None
        return dict(told)

    # ── written down before it is told ───────────────────────────────────────────────────────────────────────────

    def on_quote(self, quote: Quote) -> None:
        """Take a quote."""
        with self._whole():
            super().on_quote(quote)

    def on_candle(self, symbol: str, candle: Candle) -> None:
        """Take a bar."""
        with self._whole():
            super().on_candle(symbol, candle)
            self._has_changed = True  # the bar itself: it must not be lived twice

    def at_close(self, symbol: str) -> None:
        """Let market orders take a bar's close."""
        with self._whole():
            super().at_close(symbol)

    async def submit(self, order: OrderApproved) -> Outcome:
        """Take an order."""
        with self._whole():
            return self._changed(await super().submit(order))

    async def cancel(self, ref: OrderRef) -> Outcome:
        """Cancel one."""
        with self._whole():
            return self._changed(await super().cancel(ref))

    async def modify(self, ref: OrderRef, **levels: Any) -> Outcome:
        """Change one."""
        with self._whole():
            return self._changed(await super().modify(ref, **levels))

    async def modify_protection(self, symbol: str, **levels: Any) -> Outcome:
        """Change a position's protection."""
        with self._whole():
            return self._changed(await super().modify_protection(symbol, **levels))

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Let something happen, be written down and then told; or not at all."""
        news = self._news = []
        try:
            yield
            self._keep()
        except (QualityError, UnknownNameError):  # refused before anything was done
            raise
        except Exception:
            self._go_back()
            raise
        finally:
            self._news = None
        for each in news:
            if isinstance(each, Order):
                self._orders.push(each)
            elif isinstance(each, Fill):
                self._fills.push(each)
        super()._tell_balances()

    def _go_back(self) -> None:
        """Be what was written down last; if even that fails, nothing is taken any more."""
        was_connected, self._is_connected = self._is_connected, False
        account = PaperAccount(self._config, self._account.instruments.values(), self._clock)
        if self._kept is not None:
            state.restore(account, self._kept)
        account.seen.update(self._account.seen)  # the market was where it was
        account.data_ns = max(account.data_ns, self._account.data_ns)
        account.say = self._say
        self._account, self._matching, self._has_changed = account, Matching(account), False
        self._forget_quotes()
        self._is_connected = was_connected

    def _say(self, news: object) -> None:
        self._has_changed = True
        if self._news is None:
            super()._say(news)
        else:
            self._news.append(news.told() if isinstance(news, Working) else news)

    def _tell_balances(self) -> None:
        if self._news is None:
            super()._tell_balances()

    def _changed(self, outcome: Outcome) -> Outcome:
        self._has_changed = True
        return outcome

    def _keep(self) -> None:
        if not self._has_changed:
            return
        self._has_changed = False
        now = self.export_state()
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = self._path.with_name(f"{self._path.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(now, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        self._kept = now
