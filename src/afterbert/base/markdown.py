"""Text from strangers inside Markdown: its signs are escaped, and it stays in its line or cell.

HTML's own signs in pages are escaped by Jinja2 (autoescape, never switched off).
"""

import re

from afterbert.base.visible import visible

_MARKDOWN = re.compile(r"[\\`*_\[\]|~#!]")


def in_markdown(text: str) -> str:
    r"""Returns `text` escaped, so that it shows as it is in one line of Markdown or a cell of a table.

    >>> print(in_markdown("a|b <i> `c`"))
    a\|b &lt;i&gt; \`c\`
    """
    flat = " ".join(visible(text).split())
    entities = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(lambda found: "\\" + found[0], entities)
