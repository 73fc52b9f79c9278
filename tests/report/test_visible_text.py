"""No character of a stranger's text acts unseen."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from afterbert.base.markdown import in_markdown
from afterbert.base.visible import visible


@given(st.text(st.characters(codec=None)))
def test_nothing_hidden_is_left(text):
    shown = visible(text)
    shown.encode("utf-8")
    hidden = {c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert hidden <= {"\n", "\t", "\u200c", "\u200d"}


def test_ordinary_text_of_any_script_is_untouched():
    for text in ("naïve café", "می\u200cخواهم", "中文，文本", "👩\u200d🚀", "ไทย", "a\tb\nc"):
        assert visible(text) == text


@given(st.text())
def test_markdown_stays_in_one_cell(text):
    written = in_markdown(text)
    assert "\n" not in written
    assert "<" not in written
    assert not re.search(r"(?<!\\)(?:\\\\)*[`|*_]", re.sub(r"\\[`|*_\\]", "", written))
