"""Kill real Jupyter kernels in the middle of ordering and watching, and look whether the engine took any notice.

The engine is `tradelab up` on a paper account; its market is a rehearsal. Each kernel connects, follows all events and
orders without a pause, until it is killed by SIGKILL at a moment that is drawn. What it had been told is compared with
the journal: nothing that was acknowledged is missing, and nothing was done twice.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from tradelab.app.handle import Handle
from tradelab.store.database import Database
from tradelab.store.journal import Journal

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0
LONGEST_S = 1.0  # of a kernel's life behind its first answer
FILE = """
name = "kernels"

[modules]
data_provider = true
market_data = true
risk_management = true
execution = true
position_monitoring = true

[accounts.pocket]
kind = "paper"
balances = { USDT = 1_000_000 }
settings = { mode = "netting" }

[presets.plain]
sizing = { by = "qty", value = "0.01" }
limits = { max_quote_age_s = 3600 }
"""
BOT = """
[bots.hand{slot}]
symbols = ["BTC/USDT"]
timeframe = "1m"
source = "practice"
execution = "pocket"
preset = "plain"
"""
KERNEL = """
import itertools, threading
import tradelab as tl
live = tl.connect("kernels")
threading.Thread(target=lambda: [None for event in live.events(0)], daemon=True).start()
for number in itertools.count():
    action = ("enter_long", "exit_long")[number % 2]
    answer = live.command("signal", id=f"{name} {{number}}", bot="{bot}", symbol="BTC/USDT", action=action, ttl_s=600)
    print(answer.id if answer.done else f"refused {{answer.id}}: {{answer.says}}", flush=True)
"""


@dataclass
class Killed:
    """What came of it: how many kernels were killed, what they had been told was done, and all that was wrong."""

    kills: int = 0
    acknowledged: set[str] = field(default_factory=set)
    orders: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = f"{self.kills} kernels killed, {len(self.acknowledged)} commands acknowledged, {self.orders} orders"
        return f"{said}; {len(self.wrong)} wrong"


def kill_kernels(count: int, folder: Path, *, at_once: int = 2, seed: int = 5) -> Killed:
    """Kill so many kernels, and return what came of it.

    Parameters
    ----------
    folder
        For the records of the engine; this process' own are not touched.
    at_once
        How many kernels live at a time, each with a bot of its own.
    """
    result, names, lock = Killed(), Queue[int](), threading.Lock()
    for number in range(count):
        names.put(number)

    def work(slot: int, env: dict[str, str]) -> None:
        chance = random.Random(seed * 1000 + slot)
        with contextlib.suppress(Empty):
            while True:
                number = names.get_nowait()
                try:
                    told = _beside(f"k{number}", f"hand{slot}", chance.uniform(0, LONGEST_S), env)
                except (OSError, subprocess.SubprocessError) as error:  # counted; the other kernels go on
                    told = [f"refused k{number}: {type(error).__name__}: {error}"]
                with lock:
                    result.kills += 1
                    result.acknowledged |= {line for line in told if not line.startswith("refused")}
                    result.wrong += [line for line in told if line.startswith("refused")]

    with engine(folder, at_once) as env:
        live = Handle("kernels")
        before = live.health()
        workers = [threading.Thread(target=work, args=(slot, env)) for slot in range(at_once)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        result.wrong += unwell(live, before)
        result.wrong += judged(result)
    return result


def _beside(name: str, bot: str, life_s: float, env: dict[str, str]) -> list[str]:
    """Let a kernel live and die under a process of its own: what its client's loops leave open ends with that."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.acceptance.kernels", name, bot, f"{life_s:.3f}"]
    done = subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False
    )
    if done.returncode != 0:
        return [f"refused {name}: {done.stderr.strip().splitlines()[-1:]}"]
    return done.stdout.splitlines()


def one_kernel(name: str, bot: str, life_s: float) -> list[str]:
    """Let a kernel live until ``life_s`` seconds behind its first answer, kill it, and return what it was told."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = manager.blocking_client()
    client.start_channels()
    told = ""
    try:
        client.wait_for_ready(timeout=PATIENCE_S)
        client.execute(KERNEL.format(name=name, bot=bot))
        give_up = time.monotonic() + PATIENCE_S
        while "\n" not in told and time.monotonic() < give_up:
            told += _printed(client, 0.2)
        end = time.monotonic() + life_s
        while time.monotonic() < end:
            told += _printed(client, max(0.0, end - time.monotonic()))
        os.kill(manager.provisioner.process.pid, signal.SIGKILL)
        told += _rest(client)
    finally:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
    lines = told.split("\n")[:-1]  # what has no end was not said to its end
    return lines or [f"refused {name}: it was told nothing within {PATIENCE_S:g} s"]


def _rest(client: Any) -> str:
    """Return what was still on its way when a kernel died."""
    told, end = "", time.monotonic() + 0.3
    while time.monotonic() < end:
        told += _printed(client, 0.1)
    return told


def _printed(client: Any, wait_s: float) -> str:
    """Return what a kernel has printed by now, or its error."""
    try:
        message = client.get_iopub_msg(timeout=wait_s)
    except Empty:
        return ""
    content = message["content"]
    if message["msg_type"] == "error":
        return f"refused: {content['ename']}: {content['evalue']}\n"
    return str(content["text"]) if message["msg_type"] == "stream" and content["name"] == "stdout" else ""


# ── the engine ───────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def engine(folder: Path, slots: int) -> Iterator[dict[str, str]]:
    """Run a market and an engine on it until the block ends; gives the environment in which they are found."""
    path = folder / "kernels.toml"
    path.write_text(FILE + "".join(BOT.format(slot=slot) for slot in range(slots)), encoding="utf-8")
    home = {"TRADELAB_HOME": str(folder / "home")}
    env = os.environ | home | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    before = os.environ.get("TRADELAB_HOME")
    os.environ |= home  # for this process' own hold of it
    command = [sys.executable, "-m", "tradelab"]
    market = subprocess.Popen(
        [*command, "rehearse", "--connect", "practice"], env=env, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert market.stdout is not None
        assert any(line.startswith("Ctrl-C") for line in market.stdout), "the market did not start"
        subprocess.run(
            [*command, "up", str(path), "--detach"], env=env, check=True, cwd=ROOT, stdout=subprocess.DEVNULL
        )
        _see_quote()
        yield env
    finally:
        subprocess.run([*command, "down", "kernels", "--kill"], env=env, check=False, cwd=ROOT, capture_output=True)
        market.kill()
        market.communicate()
        os.environ.pop("TRADELAB_HOME") if before is None else os.environ.update(TRADELAB_HOME=before)


def _see_quote() -> None:
    """Wait until the engine has a price."""
    quotes = Handle("kernels").events(kinds=["quote"])
    next(quotes)
    quotes.close()  # type: ignore[attr-defined]


# ── judging ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def unwell(live: Handle, before: Any) -> list[str]:
    """Return what an engine shows of what was done to its readers; it is left flat."""
    give_up = time.monotonic() + PATIENCE_S
    while live.health()["readers"] and time.monotonic() < give_up:
        time.sleep(0.2)
    flat = live.flatten(says="the kernels are dead", timeout_s=PATIENCE_S)
    now = live.health()
    wrong = [] if now["ok"] else [f"health: {fault}" for fault in now["faults"]]
    wrong += [] if now["pid"] == before["pid"] else [f"process {before['pid']} is now {now['pid']}"]
    wrong += [f"{now['readers']} readers are still counted"] if now["readers"] else []
    wrong += [] if flat.done and not live.snapshot()["positions"] else [f"not flat: {flat.says}"]
    return wrong


def judged(result: Killed) -> list[str]:
    """Return what the journal shows to be wrong, and count its orders."""
    import json

    with Database() as database:
        journal = Journal(database, "kernels")
        flaws = [f"journal, row {flaw.seq}: {flaw.says}" for flaw in journal.verify()]
        said: dict[str, list[dict[str, Any]]] = {}
        for row in journal.rows():
            said.setdefault(row.kind, []).append(json.loads(row.body))
    received = Counter(it["command_id"] for it in said.get("CommandReceived", ()))
    done = Counter(it["command_id"] for it in said.get("CommandDone", ()))
    raised = Counter(it["signal"]["id"].rpartition(" command ")[2] for it in said.get("SignalRaised", ()))
    wrong = [f"acknowledged and not in the journal: {id_}" for id_ in sorted(result.acknowledged - set(done))]
    for what, counts in (("received", received), ("done", done), ("raised", raised)):
        wrong += [f"{what} {times} times: {id_}" for id_, times in counts.items() if times > 1]
    wrong += [f"received and never done: {id_}" for id_ in sorted(set(received) - set(done))]
    return flaws + wrong + _misordered(said, result)


def _misordered(said: dict[str, list[dict[str, Any]]], result: Killed) -> list[str]:
    """Return signals that came to nothing that is known or to two orders, and orders that were not filled just once."""
    intended = [it for it in said.get("OrderIntended", ()) if it["leg"] in ("entry", "exit")]
    result.orders = len(intended)
    ordered = Counter(it["signal_id"] for it in intended)
    dropped = {it["signal_id"] for it in said.get("SignalDropped", ())}
    signals = {it["signal"]["id"] for it in said.get("SignalRaised", ())}
    filled: Counter[str] = Counter()
    for it in said.get("TradeExecuted", ()):
        filled[it["fill"]["client_order_id"]] += Decimal(it["fill"]["qty"])  # type: ignore[assignment]
    wrong = [f"{times} orders for {signal_id}" for signal_id, times in ordered.items() if times > 1]
    wrong += [f"neither ordered nor dropped: {id_}" for id_ in sorted(signals - dropped - set(ordered))]
    wrong += [
        f"order {it['intent']['client_order_id']}: {filled[it['intent']['client_order_id']]} of {it['intent']['qty']}"
        for it in intended
        if filled[it["intent"]["client_order_id"]] != Decimal(it["intent"]["qty"])
    ]
    ended = [it for it in said.get("ReconcileEnded", ()) if not it["agreed"]]
    return wrong + [f"not agreed with the account: {it['findings']}" for it in ended]


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in one_kernel(sys.argv[1], sys.argv[2], float(sys.argv[3]))))
