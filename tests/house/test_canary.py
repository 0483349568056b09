"""A secret planted in a connection gets out nowhere; where one does, the session fails and names the place."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.canary import VARIABLE, new_canary, traces
from tests.house.tree import ROOT
from tradelab.model.credentials import CredentialField
from tradelab.model.errors import ConfigError, CorruptFileError, ParameterError, TradelabError
from tradelab.model.ports import ConnectionTest
from tradelab.store.connections import Connections
from tradelab.store.database import Database
from tradelab.store.keys import given_key
from tradelab.store.sealing import new_key
from tradelab.store.settings import Provider

PROVIDER = Provider("bank", (CredentialField("api_key"), CredentialField("secret")))


def provider(_: str) -> Provider:
    return PROVIDER


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with a key; the session's end searches it again."""
    monkeypatch.setenv("TRADELAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRADELAB_KEY", new_key().text.reveal())
    monkeypatch.delenv("TRADELAB_DATABASE", raising=False)
    return tmp_path / "home"


def absent(canary: str, content: str | bytes) -> None:
    raw = content.encode(errors="replace") if isinstance(content, str) else content
    assert [coding for coding, trace in traces(canary).items() if trace in raw] == []


def failures(connections: Connections, canary: str) -> list[tuple[type[TradelabError], Callable[[], object]]]:
    """Calls that go wrong with the secret in their hands, and how."""
    login = {"api_key": "k", "secret": canary}
    return [
        (
            ParameterError,
            lambda: connections.create("x", "bank", purposes=["data"], credentials=login | {"pin": canary}),
        ),
        (ParameterError, lambda: connections.create("x", "bank", purposes=["data"], settings={"secret": canary})),
        (ParameterError, lambda: connections.set_credentials("main", {"secret": canary})),
        (ParameterError, lambda: connections.credentials("main").reveal("sceret")),
        (ParameterError, lambda: connections.create("main", "bank", purposes=["data"], credentials=login)),
        (ConfigError, lambda: connections.vault.rotate(new_key(), given_key(new_key().text))),
        (ConfigError, lambda: connections.activate("main")),
    ]


def test_a_planted_secret_is_in_no_error_log_output_or_byte(
    home: Path, canary: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    # SQLAlchemy decides when an engine is made whether it logs: every statement, its values, every row
    with caplog.at_level(logging.DEBUG, "sqlalchemy"), caplog.at_level(logging.DEBUG), Database() as database:
        connections = Connections(database, provider, who="ada")
        made = connections.create("main", "bank", purposes=["data"], credentials={"api_key": "k-1", "secret": canary})
        login = connections.credentials("main")
        said += [repr(made), str(made), repr(login), f"{login}", repr(dict(login)), f"{login['secret']}"]
        failed = ConnectionTest(False, f"GET /order?secret={canary} refused {json.dumps({'secret': canary})}")
        said.append(repr(connections.end_test(connections.begin_test("main"), failed)))
        said.append(repr(connections.mark_error("main", f"again: {canary.encode().hex()}")))
        for kind, act in failures(connections, canary):
            with pytest.raises(kind) as refused:
                act()
            said += traceback.format_exception(refused.value)
        assert connections.vault.rotate(connections.vault.key(), given_key(new_key().text)) == 2
        said += [repr(connections.audit()), repr(connections.tests("main")), repr(connections.list())]
        assert connections.credentials("main").reveal("secret") == canary
        files = {path.name: path.read_bytes() for path in home.iterdir()}  # while the log is not yet folded in
    assert set(files) == {"records.sqlite", "records.sqlite-wal", "records.sqlite-shm"}
    files["after"] = (home / "records.sqlite").read_bytes()
    for content in files.values():
        absent(canary, content)
    absent(canary, "\n".join(said))
    assert "INSERT INTO credentials" in caplog.text
    absent(canary, caplog.text)
    absent(canary, "".join(capfd.readouterr()))
    assert "GET /order?secret=****" in "".join(said)


def test_damage_and_wrong_keys_show_nothing_either(home: Path, canary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Database() as database:
        connections = Connections(database, provider)
        connections.create("main", "bank", purposes=["data"], credentials={"api_key": "k-1", "secret": canary})
        monkeypatch.setenv("TRADELAB_KEY", new_key().text.reveal())
        with pytest.raises(ConfigError) as wrong:
            Connections(database, provider).credentials("main")
        with database.writing("damage") as transaction:
            transaction.exec_driver_sql("update credentials set sealed = substr(sealed, 1, length(sealed) - 1)")
        with pytest.raises(CorruptFileError) as damaged:
            connections.credentials("main")
        told = Connections(database, provider).mark_error("main", f"no {canary}")
    for error in (wrong.value, damaged.value):
        lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        absent(canary, "".join(line for line in lines if "tests/house" not in line))
    assert told.error is not None
    absent(canary, told.error)


_CELLS = [
    "import logging, traceback\nlogging.basicConfig(level=logging.DEBUG)\n"
    "from tests.house.test_canary import provider\nfrom tradelab.store import open_connections\n"
    "connections = open_connections(provider)\nconnections",
    "connections.list()",
    "login = connections.credentials('main')\nprint(login, repr(login['secret']))\nlogin",
    "try:\n    login.reveal('sceret')\nexcept Exception:\n    traceback.print_exc()",
    "assert len(login.reveal('secret')) > 40\nlogin['secret']",
    "connections.activate('main')",
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Jupyter's own
def test_a_notebook_that_opens_the_connection_keeps_nothing_of_it(home: Path, canary: str, tmp_path: Path) -> None:
    with Database() as database:
        connections = Connections(database, provider)
        connections.create("main", "bank", purposes=["data"], credentials={"api_key": "k-1", "secret": canary})
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in _CELLS])
    NotebookClient(page, timeout=120, allow_errors=True, resources={"metadata": {"path": str(ROOT)}}).execute()
    written = nbformat.writes(page)
    folder = Path(os.environ["TRADELAB_RUNS"]) / "canary"
    folder.mkdir()
    (folder / "notebook.ipynb").write_text(written, encoding="utf-8")  # searched again when the session ends
    errors = [out["ename"] for cell in page.cells for out in cell.outputs if out.output_type == "error"]
    assert errors == ["ConfigError"]
    for seen in ("Credentials(api_key=****, secret=****)", "Secret(****)", "no credential 'sceret'"):
        assert seen in written
    absent(canary, written)


# ── the search itself ────────────────────────────────────────────────────────────────────────────────────────────

_CONFTEST = """
import os
from pathlib import Path
from tests.canary import Canary

def pytest_configure(config):
    world = Path(os.environ["WORLD"])
    config.pluginmanager.register(Canary(config, world), "canary")
"""
_LEAKS = {
    "plain_file": "(tmp_path / 'run.json').write_text(CANARY)",
    "world_file": "(Path(os.environ['WORLD']) / 'records.sqlite').write_bytes(b'x' + CANARY.encode())",
    "url_file": "(tmp_path / 'url').write_text(quote_plus(CANARY))",
    "json_file": "(tmp_path / 'json').write_text(json.dumps(CANARY))",
    "hexadecimal_file": "(tmp_path / 'hex').write_text(CANARY.encode().hex())",
    "base64_file": "(tmp_path / 'b64').write_bytes(base64.b64encode(CANARY.encode()))",
    "basic_auth_file": "(tmp_path / 'auth').write_bytes(base64.b64encode(b'user:' + CANARY.encode()))",
    "basic_auth_2_file": "(tmp_path / 'auth2').write_bytes(base64.b64encode(b'user1:' + CANARY.encode()))",
    "name_of_a_file": "(tmp_path / quote_plus(CANARY)).touch()",
    "gzip_file": "(tmp_path / 'log.gz').write_bytes(gzip.compress(CANARY.encode()))",
    "zip_file": "zipfile.ZipFile(tmp_path / 'z.zip', 'w', 8).writestr('a', CANARY)",
    "printed": "print(CANARY)",
    "printed_by_a_child": "os.system(f\"echo '{CANARY}' >&2\")",
    "logged": "logging.getLogger('tradelab.x').debug('key %s', CANARY)",
    "logged_by_a_vendor": "logging.getLogger('httpx').debug('GET %s', CANARY)",
    "logged_with_an_error": "log_error(CANARY)",
    "failing": "assert CANARY == ''",
}
_HEAD = """
import base64, gzip, json, logging, os, zipfile
from pathlib import Path
from urllib.parse import quote_plus
CANARY = os.environ["TRADELAB_CANARY"]

def log_error(text):
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("x").exception("failed")

def test_nothing(tmp_path):
    (tmp_path / "quiet").write_text("quiet")
    logging.getLogger("ccxt").warning("a warning of a vendor is still shown")
"""


def run(folder: Path, leaks: dict[str, str], *words: str) -> tuple[int, str, str]:
    """Run a session of tests that leak a secret of their own; return its status, its output and the secret."""
    (folder / "world").mkdir(parents=True)
    (folder / "conftest.py").write_text(_CONFTEST)
    bodies = "".join(f"\ndef test_{name}(tmp_path):\n    {body}\n" for name, body in leaks.items())
    (folder / "test_leaks.py").write_text(_HEAD + bodies)
    (folder / "pytest.ini").write_text("[pytest]\n")
    secret = new_canary()
    env = os.environ | {VARIABLE: secret, "WORLD": str(folder / "world"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(folder / "tmp"), *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, secret


def test_a_session_that_leaks_nothing_passes(tmp_path: Path) -> None:
    status, told, _ = run(tmp_path / "clean", {})
    assert status == 0, told
    assert "CANARY" not in told


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_every_leak_is_found_and_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    status, told, _ = run(tmp_path / "leaky", _LEAKS, *words)
    assert status == 1
    lines = [line for line in told.splitlines() if line.startswith("CANARY ")]
    for name in _LEAKS:
        place = {"world_file": "world/records.sqlite"}.get(name, f"test_{name}")
        assert any(place in line for line in lines), (name, lines)
    assert not any("test_nothing" in line for line in lines)


@pytest.mark.parametrize("leak", ["plain_file", "logged_by_a_vendor", "printed", "world_file"])
def test_one_leak_alone_fails_a_session_whose_tests_all_pass(tmp_path: Path, leak: str) -> None:
    status, told, _ = run(tmp_path / "one", {leak: _LEAKS[leak]})
    assert status == 1
    assert "2 passed" in told
    assert "the planted secret got out" in told


def test_the_secret_of_this_session_is_the_one_that_is_searched_for(canary: str) -> None:
    assert os.environ[VARIABLE] == canary
    assert traces(canary)["plain"] in canary.encode()
    buffer = io.StringIO()
    json.dump({"secret": canary}, buffer)
    assert traces(canary)["plain"].decode() in buffer.getvalue()
