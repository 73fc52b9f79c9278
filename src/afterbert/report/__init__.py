"""Reports: one self-contained HTML file to look at, and a Markdown twin with the numbers.

`write_report` is the way in; `write_gallery` writes what tasks do to a text.
"""

from afterbert.report.gallery import write_gallery
from afterbert.report.run_report import write_report

__all__ = ["write_gallery", "write_report"]
