"""Files whose names do not tell what they hold are read when the user says it, and counted when not."""

import json

import pytest

from afterbert.base.errors import UserError
from afterbert.text.files.documents import Tally
from afterbert.text.from_paths import sources_for
from afterbert.text.reading import read


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "AA").mkdir()
    for number in range(2):
        lines = [json.dumps({"text": f"article {number} {line}"}) for line in range(3)]
        (tmp_path / "AA" / f"wiki_0{number}").write_text("\n".join(lines) + "\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    return tmp_path


def test_a_kind_that_is_said_reads_them_and_leaves_pictures(folder):
    tally = Tally()
    assert len(list(read(sources_for([str(folder)], kind="jsonl"), tally=tally))) == 6
    assert tally.files == {"no extension": 2}
    assert tally.passed_over == {".png": 1}


def test_without_it_they_are_counted_with_the_remedy(folder):
    with pytest.raises(UserError, match=r"no extension 2.*--kind txt or --kind jsonl"):
        list(read(sources_for([str(folder)])))
    (folder / "a.txt").write_text("a text")
    tally = Tally()
    assert len(list(read(sources_for([str(folder)]), tally=tally))) == 1
    assert "passed over: no extension           2  --kind txt or jsonl reads them" in tally.table()
