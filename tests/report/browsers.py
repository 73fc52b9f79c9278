"""A page as browsers of the distribution show it: the document after its scripts have run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_WAIT = 100.0  # seconds; on a busy machine a browser takes its time to begin


def found(*names: str) -> str:
    """The first of these programs that is installed; without any the test is skipped."""
    paths = [path for path in map(shutil.which, names) if path]
    if not paths:
        pytest.skip(f"no {names[0]} is installed")
    return paths[0]


def in_chromium(address: str, folder: Path) -> str:
    browser = found("chromium", "chromium-browser", "google-chrome")
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/chromium"]
    return subprocess.run([*command, "--dump-dom", address], capture_output=True, text=True, timeout=_WAIT).stdout


def in_firefox(address: str, folder: Path) -> str:
    """By Marionette, the protocol that Firefox's own tests speak."""
    browser, home = found("firefox-esr", "firefox"), folder / "firefox"
    home.mkdir()
    (home / "user.js").write_text('user_pref("marionette.port", 0);\n')  # a free one, named in the profile
    command = [browser, "--headless", "--marionette", "--no-remote", "--profile", str(home)]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=os.environ | {"HOME": str(home)}, **quiet) as process:
        try:
            with _marionette(home / "MarionetteActivePort") as ask:
                ask("WebDriver:NewSession")
                ask("WebDriver:Navigate", url=address)
                until = time.monotonic() + _WAIT
                while True:  # the page says that it has answered
                    said = ask("WebDriver:ExecuteScript", script=_DOCUMENT, args=[])["value"]
                    if "data-top=" in said or time.monotonic() > until:
                        return said
                    time.sleep(0.2)
        finally:
            process.terminate()


_DOCUMENT = "return document.documentElement.outerHTML"


@contextlib.contextmanager
def _marionette(port_file: Path) -> Iterator[Any]:
    """Gives a function that asks for a command, with its parameters, and returns the answer."""
    until = time.monotonic() + _WAIT
    while not (port_file.exists() and port_file.read_text().strip()):
        assert time.monotonic() < until, "firefox does not begin"
        time.sleep(0.1)
    with socket.create_connection(("127.0.0.1", int(port_file.read_text()))) as connection:
        connection.settimeout(_WAIT)
        answers, number = connection.makefile("rb"), 0

        def received() -> Any:
            digits = b""
            while (one := answers.read(1)) != b":":
                digits += one
            return json.loads(answers.read(int(digits)))

        def ask(command: str, **parameters: Any) -> Any:
            nonlocal number
            number += 1
            message = json.dumps([0, number, command, parameters]).encode()
            connection.sendall(str(len(message)).encode() + b":" + message)
            _, _, error, result = received()
            assert error is None, error
            return result

        received()  # its greeting
        yield ask
