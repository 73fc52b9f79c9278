"""Text that may hold anything inside a model card."""


def escaped(text: str) -> str:
    """The text, harmless in Markdown.

    >>> escaped("a<b>|`c`")
    'a&lt;b&gt;\\\\|\\\\`c\\\\`'
    """
    shown = "".join(c if c.isprintable() else "·" for c in text)
    for mark in "\\`|*_[]":
        shown = shown.replace(mark, "\\" + mark)
    return shown.replace("<", "&lt;").replace(">", "&gt;")
