"""Manage accounts at MetaApi's provisioning: created once, started only when told, waited for no longer than told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from tests.unit.rehearsal.metaapi_world import ACCOUNT, TOKEN, World, world
from tradelab.adapters.metaapi_accounts import Accounts, NewAccount
from tradelab.adapters.metaapi_wire import Wire
from tradelab.model.credentials import Credentials, Secret
from tradelab.model.errors import ConnectivityError, RequestError, TradelabError
from tradelab.rehearsal.faults import Fault

PASSWORD = "canary-broker-password"
NEW = NewAccount(name="mine", server="Rehearsal-Demo", login="123456", password=Secret(PASSWORD))
T = TypeVar("T")


@asynccontextmanager
async def accounts(on: World) -> AsyncIterator[Accounts]:
    wire = Wire(Credentials({"api_token": TOKEN}), on.clock, 5.0, trust_env=False)
    try:
        yield Accounts(wire, on.venue.url, on.clock)
    finally:
        await wire.close()


async def meanwhile(on: World, wanted: Awaitable[T], seconds: float = 60) -> T:
    """Let time go by until something is done."""
    task = asyncio.ensure_future(wanted)
    for _ in range(int(seconds)):
        await on.venue.advance(1)
        if task.done():
            break
    return await asyncio.wait_for(task, 5)


def play(run: Any) -> None:
    async def whole() -> None:
        async with world(adapter=False) as on, accounts(on) as managed:
            await run(on, managed)

    asyncio.run(whole())


def test_an_account_is_created_once_though_asked_for_until_it_is_done_and_becomes_ready() -> None:
    async def run(on: World, managed: Accounts) -> None:
        created = await meanwhile(on, managed.create(NEW))
        assert sorted(a.account_id for a in await managed.listed()) == sorted([ACCOUNT, created])
        names = {a.account_id: a.name for a in await managed.listed()}
        assert names[created] == "mine"
        assert not (await managed.account(created)).is_ready
        ready = await meanwhile(on, managed.ready(created, within_s=60, deploy=False))
        assert (ready.state, ready.connection, ready.region) == ("DEPLOYED", "CONNECTED", "london")
        await managed.delete(created)
        assert [a.account_id for a in await managed.listed()] == [ACCOUNT]
        with pytest.raises(RequestError):
            await managed.account(created)

    play(run)


def test_a_wish_whose_answer_was_lost_is_repeated_by_its_transaction_and_stays_one_account() -> None:
    async def run(on: World, managed: Accounts) -> None:
        wish = "0123456789abcdef" * 2
        first = await meanwhile(on, managed.create(NEW, transaction_id=wish))
        on.venue.direct.fault(Fault.RESET, "other")
        with pytest.raises(ConnectivityError):
            await managed.create(NEW, transaction_id=wish)
        assert await managed.create(NEW, transaction_id=wish) == first
        assert len(await managed.listed()) == 2

    play(run)


def test_a_creation_that_takes_too_long_is_given_up_with_words() -> None:
    async def run(on: World, managed: Accounts) -> None:
        with pytest.raises(ConnectivityError, match="Rehearsal-Demo"):
            await meanwhile(on, managed.create(NEW, within_s=1))

    play(run)


def test_a_server_nobody_knows_is_refused_in_metaapis_words() -> None:
    async def run(on: World, managed: Accounts) -> None:
        with pytest.raises(RequestError, match="E_SRV_NOT_FOUND"):
            await managed.create(replace(NEW, server="No-Such"))

    play(run)


def test_a_terminal_is_started_only_when_told_and_stopped() -> None:
    async def run(on: World, managed: Accounts) -> None:
        await managed.undeploy(ACCOUNT)
        await on.venue.advance(20, step_s=5)
        assert (await managed.account(ACCOUNT)).state == "UNDEPLOYED"
        with pytest.raises(RequestError, match="not running"):
            await managed.ready(ACCOUNT, within_s=60, deploy=False)
        assert (await managed.account(ACCOUNT)).state == "UNDEPLOYED"
        assert (await meanwhile(on, managed.ready(ACCOUNT, within_s=60, deploy=True))).is_ready

    play(run)


def test_a_terminal_that_is_not_ready_in_time_is_an_error_that_says_where_it_stands() -> None:
    async def run(on: World, managed: Accounts) -> None:
        await managed.undeploy(ACCOUNT)
        await on.venue.advance(20, step_s=5)
        await managed.deploy(ACCOUNT)
        with pytest.raises(ConnectivityError, match="DEPLOYING and DISCONNECTED"):
            await meanwhile(on, managed.ready(ACCOUNT, within_s=4, deploy=False))

    play(run)


def test_a_password_is_in_no_error_no_log_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = [repr(NEW), str(NEW)]

    async def run(on: World, managed: Accounts) -> None:
        for fault in (Fault.GATEWAY, Fault.RESET, Fault.RATE_LIMITED, None):
            if fault is not None:
                on.venue.direct.fault(fault, "other")
            with pytest.raises(TradelabError) as caught:
                await managed.create(NEW if fault else replace(NEW, server="No-Such"))
            error = caught.value
            told.append(f"{error!r} {error} {error.__cause__!r} {error.__context__!r}")
            await on.venue.advance(5)

    play(run)
    assert len(told) == 6
    assert not any(PASSWORD in text or TOKEN in text for text in [*told, caplog.text])
