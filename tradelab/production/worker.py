"""Execute one notebook with papermill, in a process of its own, and tell the parent what happens.

The parent starts ``python -m tradelab.production.worker FD``, writes the job as one JSON line to standard input and
keeps that pipe open: when it closes, the parent is gone and so must we be. Events go to the file descriptor FD as JSON
lines: ``kernel`` (its pid), ``cell`` (number), ``end`` (outcome and failure). The parent alone writes the registry.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import zmq
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient.exceptions import DeadKernelError
from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import LocalHandler, papermill_io
from papermill.log import logger as papermill_log

from tradelab.production.files import own_cells, source_of, tags_of, write_text
from tradelab.report.safety import redact

_SCHEME = "tradelab-run:"
_PATIENCE_S = 4.0  # an interrupted cell has this long before its kernel is killed


class _Line:
    """What this process shares between its signal handler, its kernel and papermill's callbacks."""

    fd: int = -1
    kernel_pid: int | None = None
    stopping: bool = False
    at_cell: int = 0
    first_line: str = ""

    def say(self, **event: Any) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self.fd, (json.dumps(event) + "\n").encode())

    def kill_kernel(self, how: signal.Signals) -> None:
        if self.kernel_pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.kernel_pid, how)

    def stop(self, *_: object) -> None:
        """SIGTERM: interrupt the running cell, so that papermill saves what there is; kill a kernel that will not."""
        if self.stopping:
            return
        self.stopping = True
        self.kill_kernel(signal.SIGINT)
        killer = threading.Timer(_PATIENCE_S, self.kill_kernel, [signal.SIGKILL])
        killer.daemon = True
        killer.start()

    def watch_parent(self) -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        self.kill_kernel(signal.SIGKILL)
        os._exit(4)


_line = _Line()


class _KernelManager(AsyncKernelManager):
    """Start the kernel in this very Python, encrypted where it can be, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="tradelab",
            language="python",
            metadata=get_kernel_dict().get("metadata", {}),  # says whether this ipykernel can encrypt
        )

    async def _async_start_kernel(self, **options: Any) -> None:
        if self.has_trait("transport_encryption") and zmq.has("curve"):
            self.transport_encryption = "auto"
        await super()._async_start_kernel(**options)
        _line.kernel_pid = getattr(self.provisioner, "pid", None)
        _line.say(event="kernel", pid=_line.kernel_pid)
        if _line.stopping:
            _line.kill_kernel(signal.SIGKILL)

    start_kernel = _async_start_kernel


class _Client(PapermillNotebookClient):
    """papermill's client without its stand-in for the Output widget, whose prints then stay in their cell.

    The stand-in sends the kernel a message while the cell runs; on a busy machine ipykernel 7 then now and then never
    answers the cell, and the run hangs (3 of 56 runs here, two to a core).
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.widget_registry: dict[str, dict[str, Any]] = {}


class _Engine(Engine):
    """Run cells as papermill's own engine does, with a word to the parent before each."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
        begin = nb_man.cell_start
        numbers = _numbers(nb_man.nb.cells)

        def cell_start(cell: Any, cell_index: int, **rest: Any) -> Any:
            if _line.stopping:
                raise KeyboardInterrupt
            _line.at_cell, _line.first_line = numbers[cell_index], _first_line(cell)
            _line.say(event="cell", cell=_line.at_cell, source=_line.first_line)
            return begin(cell, cell_index=cell_index, **rest)

        nb_man.cell_start = cell_start
        client = _Client(
            nb_man,
            kernel_name=kernel_name,
            kernel_manager_class=_KernelManager,
            startup_timeout=options["start_timeout"],
            log=papermill_log,
            log_output=options["log_output"],
            store_widget_state=False,
        )
        return client.execute()


class _Output(LocalHandler):
    """Save the executed notebook whole or not at all, with no secret, and no folder or widget in its metadata."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self.secrets = secrets

    def write(self, buf: str, path: str) -> None:
        notebook = json.loads(buf)
        notes = notebook.get("metadata", {}).get("papermill", {})
        for name in ("input_path", "output_path"):
            if notes.get(name):
                notes[name] = Path(notes[name]).name
        notebook.get("metadata", {}).pop("widgets", None)
        text = json.dumps(notebook, indent=1, ensure_ascii=False)
        write_text(Path(path.removeprefix(_SCHEME)), redact(text, self.secrets) + "\n")


def main() -> None:
    """Run the job that standard input holds."""
    _line.fd = int(sys.argv[1])
    job = json.loads(_read_line(sys.stdin.fileno()))
    signal.signal(signal.SIGTERM, _line.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_line.watch_parent, daemon=True).start()
    # papermill cannot read a parameter's comment that holds a quote, and needs not: the parent has read them all
    logging.getLogger("papermill").addFilter(lambda record: not record.getMessage().startswith("Unable to parse line"))
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")
    output = Path(job["output"])
    papermill_engines.register("tradelab", _Engine)
    papermill_io.register(_SCHEME, _Output(tuple(job["secrets"])))
    end = _execute(job, output)
    _line.say(event="end", **end)


def _read_line(fd: int) -> bytes:
    """Read to the end of the line without a buffer: a daemon thread will wait on this descriptor to the very end."""
    line = b""
    while not line.endswith(b"\n") and (chunk := os.read(fd, 65536)):
        line += chunk
    return line


def _execute(job: dict[str, Any], output: Path) -> dict[str, Any]:
    try:
        done = execute_notebook(
            job["notebook"],
            _SCHEME + str(output),
            parameters=job["parameters"],
            engine_name="tradelab",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            log_output=True,
            start_timeout=120,
            autosave_cell_every=10,
        )
    except PapermillExecutionError as error:
        return {"outcome": "failed", "kind": error.ename, "message": error.evalue} | _place()
    except DeadKernelError:
        return {"outcome": "crashed", "kind": "KernelDied", "message": "the kernel died while this cell ran"} | _place()
    except KeyboardInterrupt:
        return {"outcome": "failed", "kind": "KeyboardInterrupt", "message": ""} | _place()
    except Exception as error:  # whatever papermill or the disk throws is the run's failure
        logging.getLogger("tradelab").exception("the run could not go on")
        return {"outcome": "failed", "kind": type(error).__name__, "message": str(error)} | _place()
    return {"outcome": "succeeded", "note": _left_early(done)}


def _place() -> dict[str, Any]:
    return {"cell": _line.at_cell or None, "source": _line.first_line}


def _left_early(notebook: Any) -> str:
    """``sys.exit(0)`` ends a notebook on purpose: papermill calls that a success and its metadata an exception."""
    cells = own_cells(notebook)
    for number, cell in enumerate(cells, 1):
        if any(out.get("ename") == "SystemExit" for out in cell.get("outputs", [])) and number < len(cells):
            return f"the notebook ended itself at cell {number} of {len(cells)}"
    return ""


def _numbers(cells: list[Any]) -> list[int]:
    """Number of each executed cell in the notebook as it was written; the injected cell shares its predecessor's."""
    numbers, count = [], 0
    for cell in cells:
        count += "injected-parameters" not in tags_of(cell)
        numbers.append(max(count, 1))
    return numbers


def _first_line(cell: Any) -> str:
    return next((line.strip() for line in source_of(cell).splitlines() if line.strip()), "")[:200]


if __name__ == "__main__":
    main()
