"""Makes the pictures of README from a finished run: `python docs/pictures.py demo.log demo/NAME` (chromium).

demo.log is what `afterbert demo` printed; the run folder holds the report.
"""

from __future__ import annotations

import html
import sys
import tempfile
from pathlib import Path

from images.make import picture

PAGE = """<!doctype html><meta charset="utf-8"><body style="margin:0;background:#1e1e2e"><pre style="margin:0;
padding:18px;color:#d8dee9;font:14px/1.45 'DejaVu Sans Mono',monospace;white-space:pre-wrap">{text}</pre>"""


def main(log: Path, run: Path) -> None:
    lines = log.read_text(encoding="utf-8").splitlines()
    first = max(number for number, line in enumerate(lines) if line.startswith("held-out masked accuracy"))
    with tempfile.TemporaryDirectory() as name:
        page = Path(name, "terminal.html")
        text = html.escape("\n".join(["$ afterbert demo", "...", *lines[first:]]))
        page.write_text(PAGE.format(text=text), encoding="utf-8")
        picture(page.as_uri(), "demo", 1000, 640)
    picture((run / "report.html").resolve().as_uri(), "report", 1000, 900)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
