"""Reports: one self-contained HTML file to look at, and a Markdown twin with the numbers.

`write_report` is the way in.
"""

from afterbert.report.run_report import write_report

__all__ = ["write_report"]
