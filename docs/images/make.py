"""Makes the pictures of docs/see-it.md anew, with Chromium.

python docs/images/make.py runs/laptop-tiny-1a2b3c4d [another run] --runs runs
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
OURS = [sys.executable, "-m", "afterbert"]
MOST_BYTES = 200_000


def picture(address: str, name: str, width: int, height: int) -> None:
    """Writes a screenshot once the page has come to rest."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("no chromium is installed")
    with tempfile.TemporaryDirectory() as scratch:
        out = HERE / f"{name}.png"
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={scratch}"]
        options += ["--virtual-time-budget=60000", f"--window-size={width},{height}", f"--screenshot={out}"]
        subprocess.run([browser, *options, address], check=True, capture_output=True, timeout=300)
    print(out, out.stat().st_size)
    assert out.stat().st_size < MOST_BYTES, "a picture in the repository stays below 200 kB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--runs", default="runs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch, "model.html")
        subprocess.run([*OURS, "export", given.models[0], "--page", str(page)], check=True)
        picture(f"{page.as_uri()}#text=The+[MASK]+of+the+house+was+open.", "page", 1000, 1150)
    command = [*OURS, "play", *given.models, "--runs", given.runs, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = re.search(r"http://\S+", server.stdout.readline())
        try:
            assert said is not None
            picture(said[0], "play", 1000, 1150)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
