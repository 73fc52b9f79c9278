"""Recipes as the user meets them: names, files, `extends`, sizes, overrides, and every mistake with its place."""

import pytest
import yaml

from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.recipes import known, resolve


@pytest.mark.parametrize("name", known())
def test_every_recipe_resolves_and_its_text_resolves_to_the_same(name, tmp_path):
    resolved = resolve(name)
    again = tmp_path / "again.yaml"
    again.write_text(resolved.text())
    assert resolve(str(again)).recipe == resolved.recipe
    assert yaml.safe_load(resolved.text(origins=False)) == to_plain(resolved.recipe)


def test_sizes_change_sizes_only():
    tiny, mini = (to_plain(resolve("bert-mlm", size=size).recipe) for size in ("tiny", "mini"))
    assert mini["model"]["hidden_size"] == 256
    assert {**mini, "model": None} == {**tiny, "model": None}


def test_origins_tell_file_size_override_and_default():
    resolved = resolve("roberta", size="mini", overrides=[("training.batch_size", "8")])
    origins = resolved.origins()
    assert origins["training.batch_size"] == "--training.batch_size"
    assert origins["model.hidden_size"].endswith("(size mini)")
    assert origins["title"].startswith("roberta.yaml:")
    assert origins["length"].startswith("bert-mlm.yaml:")
    line = next(line for line in resolved.text().splitlines() if "max_grad_norm" in line)
    assert line.endswith("# default")


def refusal(tmp_path, text, **options):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        resolve(str(path), **options)
    return [line.replace(str(path), "r.yaml") for line in error.value.lines]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("extends: laptop\nlenght: 64", "r.yaml:2: lenght is not a setting; did you mean 'length'?"),
        ("extends: laptopp", "no recipe is called 'laptopp'; did you mean 'laptop'?"),
        (
            "extends: laptop\nmodel: {hidden_sizes: 4}",
            "r.yaml:2: model.hidden_sizes is not a setting; did you mean 'hidden_size' or 'num_hidden_layers'?",
        ),
        (
            "extends: laptop\nsizes: {tiny: {model: {hidden_size: 100, num_attention_heads: 3}}}",
            "r.yaml:2 (size tiny): model: hidden_size 100 does not divide into 3 attention heads; choose a multiple",
        ),
        ("extends: laptop\nlength: 4096", None),
        (
            "extends: laptop\nobjective: {type: maskedlm}",
            "r.yaml:2: objective: no objective is called 'maskedlm'; did you mean 'masked_lm'?",
        ),
    ],
)
def test_mistakes_are_one_line_with_place_and_remedy(tmp_path, text, line):
    found = refusal(tmp_path, text)
    assert len(found) == 1
    if line:
        assert found[0] == line


def test_a_recipe_that_extends_itself(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b.yaml")
    (tmp_path / "b.yaml").write_text("extends: a.yaml")
    with pytest.raises(UserError, match="extends itself"):
        resolve(str(tmp_path / "a.yaml"))


def test_unknown_size_and_missing_file():
    with pytest.raises(
        UserError, match="recipe 'laptop' has no size 'huge'; known: tiny, mini, small, base$"
    ):
        resolve("laptop", size="huge")
    with pytest.raises(UserError, match="recipe file absent.yaml does not exist"):
        resolve("absent.yaml")


def test_overrides_name_their_option():
    with pytest.raises(UserError) as error:
        resolve("laptop", overrides=[("model.hidden_size", "wide"), ("training.budget", "10")])
    assert error.value.lines == (
        "--model.hidden_size is 'wide', must be a valid integer",
        "--training.budget: budget '10' has no unit; write 10min, 2h, 500steps, 20Mtokens, 3epochs or 1e15flops",
    )
