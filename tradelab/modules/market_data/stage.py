"""Keep every closed bar in the catalogue, say so, and put the catalogue in order once a day.

Feeds store a bar before they tell of it, so what is left to do here is to look; a bar that came in another way (a
replay, a provider of somebody's own) is stored here.
"""

from __future__ import annotations

import asyncio

from tradelab.catalog.bars import Catalog
from tradelab.model.errors import InvariantError, StorageError
from tradelab.model.messages import AlarmRaised, DataReceived, DataStored, Message, Recorded
from tradelab.model.states import Severity
from tradelab.modules.market_data.config import Config
from tradelab.modules.market_data.rules import policies_of, put_in_order, row_of
from tradelab.spine.desk import Desk
from tradelab.spine.refused import read_table

_S_PER_H = 3600.0


class Stage:
    """The catalogue's keeper in a node."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._in_turn = asyncio.Lock()
        self.config = read_table(Config, desk.settings, "[modules.market_data]")
        policies_of(self.config)  # what is wrong with one is said before anything runs
        self._catalog: Catalog | None = None
        desk.bus.hear(DataReceived, self._received)

    def remember(self, recorded: Recorded[Message]) -> None:
        """Remember nothing: what is stored stands in the catalogue."""

    async def start(self) -> None:
        """Open the catalogue, and begin to put it in order from time to time."""
        self._catalog = Catalog(self.config.catalog)
        self._desk.tasks.begin(self._keep_in_order(), "upkeep of the catalogue")

    async def stop(self) -> None:
        """Close the catalogue."""
        catalog, self._catalog = self._catalog, None
        if catalog is not None:
            catalog.close()

    def _received(self, recorded: Recorded[DataReceived]) -> None:
        bar = recorded.message
        self._desk.bus.then(lambda: self._store(bar))

    def _store(self, bar: DataReceived) -> None:
        self._desk.tasks.begin(self._stored(bar), f"store {bar.symbol} {bar.timeframe.alias}")

    async def _stored(self, bar: DataReceived) -> None:
        if self._catalog is None:
            raise InvariantError("market_data was told of a bar before it was started.")
        provider = self._desk.providers.get(bar.source)
        row = row_of(bar, bar.source if provider is None else provider.name)
        async with self._in_turn:  # a later bar that is stored first would hide that an earlier one is missing
            newest = self._catalog.last_closed(row.source, row.symbol, row.timeframe)
            if newest is None or newest.value < row.time_ns:
                await asyncio.to_thread(self._catalog.append, [row])
        self._desk.bus.say(
            DataStored(source=bar.source, symbol=bar.symbol, timeframe=bar.timeframe, open_ns=row.time_ns)
        )

    async def _keep_in_order(self) -> None:
        while True:
            await self._desk.clock.sleep(self.config.upkeep_every_h * _S_PER_H)
            try:
                done = await asyncio.to_thread(put_in_order, self.config, self._desk.clock.now_ns())
            except StorageError as error:  # another process writes, or there is no room: told, and tried again
                self._desk.bus.say(
                    AlarmRaised(kind="catalogue", about="upkeep", severity=Severity.WARNING, says=str(error))
                )
            else:
                self._desk.log.info("catalogue: %d bars compacted, %d removed", done.compacted, done.removed)
