"""`pretrain` on several stores: the mix said before and after, gone on with, and mistakes in one line."""

import json
import re

import pytest

from afterbert.cli.main import run
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.text.tokenizers.wordpiece import WordPiece

TINY = ["--model.num_hidden_layers", "1", "--model.hidden_size", "32", "--model.num_attention_heads", "2"]
TINY += ["--model.intermediate_size", "32", "--length", "32", "--training.batch_size", "4", "--training.workers", "0"]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("stores")
    for name, documents in (("large", 40), ("small", 14)):
        texts = (
            f"The {n}th story of the old {name} mill by the river. It ends well, {n} times." for n in range(documents)
        )
        (root / f"{name}.txt").write_text("\n\n\n".join(texts))
        first = name == "large"
        tokenizer = (
            WordPiece(vocab_size=150, min_frequency=1, lowercase=True)
            if first
            else PretrainedTokenizer(name=str(root / "large/tokenizer"))
        )
        prepare([Txt(path=str(root / f"{name}.txt"))], root / name, tokenizer=tokenizer, least_pieces=8, held_out=0.2)
    return root


def test_two_stores_are_mixed_by_a_law(stores, tmp_path, capsys):
    asked = ["pretrain", str(stores / "large"), str(stores / "small"), "--out", str(tmp_path), "--name", "both", *TINY]
    assert run([*asked, "--mixing", "fixed", "--mixing.weights", "{large: 1, small: 3}", "--budget", "2epochs"]) == 0
    before, after = capsys.readouterr().out.split("the mix as it was")
    shares = [re.search(r"^ *small .* (\d+\.\d)% ", part, re.MULTILINE)[1] for part in (before, after)]
    assert shares[0] == shares[1]
    assert float(shares[0]) == pytest.approx(75, abs=3)
    kept = json.loads((tmp_path / "both" / "mixture.json").read_text())
    assert kept["planned"] == kept["realised"]
    data = json.loads((tmp_path / "both" / "data.json").read_text())
    assert [source["name"] for source in data["sources"]] == ["large", "small"]
    told = kept["realised"]["sources"]["small"]
    said = f"{100 * told['share']:.1f}%, {told['epochs']:.2f}"
    assert said in (tmp_path / "both" / "report.html").read_text()
    assert f"| {said} | {said} |" in (tmp_path / "both" / "report.md").read_text()
    assert run(["pretrain", "--resume", str(tmp_path / "both")]) == 0, "the mixture is found again"
    capsys.readouterr()
    assert run(["evaluate", str(tmp_path / "both"), data["store"], "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert set(measured["baselines"]) == {"most_frequent_piece", "left_and_right_neighbour"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["large", "small", "--mixing", "equall"], "no mixing is called 'equall'; did you mean 'equal'"),
        (["large", "--mixing", "equal"], "large holds one language, so nothing is to be mixed"),
        (["large", "small.txt"], "stores and texts are named together"),
        (["large", "small", "--mixing", "fixed", "--mixing.weights", "{large: 1}"], "gives no weight to 'small'"),
    ],
)
def test_a_mistake_is_one_line(words, said, stores, tmp_path, capsys):
    given = [str(stores / word) if word.startswith(("large", "small")) else word for word in words]
    assert run(["pretrain", *given, "--out", str(tmp_path), "--budget", "1steps", *TINY]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
