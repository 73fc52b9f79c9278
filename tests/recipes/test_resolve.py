"""Recipes as the user meets them: names, files, `extends`, sizes, overrides, and every mistake with its place."""

import pytest
import yaml

from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.recipes import known, resolve
from afterbert.recipes.recipe import says_its_size


@pytest.mark.parametrize("name", known())
def test_every_recipe_resolves_and_its_text_resolves_to_the_same(name, tmp_path):
    resolved = resolve(name)
    again = tmp_path / "again.yaml"
    again.write_text(resolved.text())
    assert resolve(str(again)).recipe == resolved.recipe
    assert resolve(str(again)).names == resolved.names
    written = yaml.safe_load(resolved.text(origins=False))
    written.pop("names", None)
    assert written == to_plain(resolved.recipe)


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
        ("extends: laptopp", "no recipe is called 'laptopp'; did you mean 'laptop' or 'laptop-gpt'?"),
        (
            "extends: laptop\nmodel: {hidden_sizes: 4}",
            "r.yaml:2: model.hidden_sizes is not a setting; did you mean 'hidden_size' or 'num_hidden_layers'?",
        ),
        (
            "extends: laptop\nsizes: {tiny: {model: {hidden_size: 100, num_attention_heads: 3}}}",
            "r.yaml:2 (size tiny): model.hidden_size 100 does not divide into 3 attention heads; choose a multiple",
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
    with pytest.raises(UserError, match="recipe 'laptop' has no size 'huge'; known: tiny, mini, small, base$"):
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


@pytest.mark.parametrize("name", known())
def test_every_short_name_stands_for_settings_of_its_recipe_and_hides_none(name):
    resolved = resolve(name)
    assert resolved.names
    for short, paths in resolved.names.items():
        for path in paths:
            resolved.value(path)
        with pytest.raises(UserError, match="has no setting"):
            resolved.value(short)


def test_a_short_name_is_inherited_and_says_the_same_as_the_long_one():
    long = resolve("roberta", overrides=[("objective.pretext.edits.0.selection.rate", "0.4")])
    short = resolve("roberta", overrides=[("masking.rate", "0.4")])
    assert short.recipe == long.recipe != resolve("roberta").recipe
    assert short.origins()["objective.pretext.edits.0.selection.rate"] == "--masking.rate"


def test_one_short_name_may_stand_for_several_settings():
    stages = resolve("ernie", overrides=[("masking.rate", "0.2")]).recipe.objective.pretext.edits[0].selection.stages
    assert [stage.selection.rate for stage in stages] == [0.2, 0.2, 0.2]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            [("masking.rat", "0.4")],
            "--masking.rat is neither a setting nor a short name of this recipe; did you mean 'masking.rate'",
        ),
        ([("masking.rate", "2")], "--masking.rate (objective.pretext.edits.0.selection.rate) is 2, must be less than"),
        ([("pairs.swap_rate", "0.4")], "--pairs.swap_rate is neither"),  # ALBERT's, not BERT's
        ([("modle.hidden_size", "64")], "--modle.hidden_size is neither a setting nor a short name"),
    ],
)
def test_mistakes_in_overrides(overrides, line):
    with pytest.raises(UserError) as error:
        resolve("bert", overrides=overrides)
    assert len(error.value.lines) == 1
    assert error.value.lines[0].startswith(line)


def test_a_complaint_that_begins_with_a_setting_names_the_place_of_that_setting(tmp_path):
    said = "tokenizer.vocab_size is 40, letters and special pieces alone need 293; raise it"
    assert refusal(tmp_path, "extends: laptop\ntokenizer:\n  vocab_size: 40") == [f"r.yaml:3: {said}"]
    with pytest.raises(UserError, match=f"^--{said}"):
        resolve("laptop", overrides=[("tokenizer.vocab_size", "40")])


def test_a_part_is_set_after_its_node_in_whatever_order_they_are_written():
    overrides = [("masking.rate", "0.25"), ("masking.unit", "word"), ("masking.law", "ngrams")]
    assert resolve("bert-mlm", overrides=overrides).recipe == resolve("bert-mlm", overrides=overrides[::-1]).recipe
    selection = resolve("bert-mlm", overrides=overrides).recipe.objective.pretext.edits[0].selection
    assert (type(selection).__name__, selection.rate, selection.unit) == ("Ngrams", 0.25, "word")


# Who decides model.hidden_size? The parent brings 128 (tiny, its default) and 256 (mini).
FILES = {
    "nothing said": "",
    "the file": "model: {hidden_size: 64}",
    "the file, which also names a size": "size: mini\nmodel: {hidden_size: 64}",
    "a size named by the file": "size: mini",
    "a size of the file's own": "sizes: {tiny: {model: {hidden_size: 192}}, mini: {model: {hidden_size: 320}}}",
    "the file and its own size": "model: {hidden_size: 64}\nsizes: {tiny: {model: {hidden_size: 192}}}",
}


@pytest.mark.parametrize(
    ("file", "size", "override", "value", "origin"),
    [
        ("nothing said", None, None, 128, "(size tiny)"),
        ("nothing said", "mini", None, 256, "(size mini)"),
        ("nothing said", "mini", "32", 32, "--model.hidden_size"),
        ("the file", None, None, 64, "r.yaml:2"),
        ("the file", "tiny", None, 128, "(size tiny)"),
        ("the file", "mini", None, 256, "(size mini)"),
        ("the file", None, "32", 32, "--model.hidden_size"),
        ("the file", "mini", "32", 32, "--model.hidden_size"),
        ("the file, which also names a size", None, None, 64, "r.yaml:3"),
        ("the file, which also names a size", "tiny", None, 128, "(size tiny)"),
        ("a size named by the file", None, None, 256, "(size mini)"),
        ("a size named by the file", "tiny", None, 128, "(size tiny)"),
        ("a size of the file's own", None, None, 192, "r.yaml:2 (size tiny)"),
        ("a size of the file's own", "mini", None, 320, "r.yaml:2 (size mini)"),
        ("the file and its own size", None, None, 192, "r.yaml:3 (size tiny)"),
        ("the file and its own size", "mini", None, 256, "bert-mlm.yaml"),
    ],
)
def test_who_decides_a_size(tmp_path, file, size, override, value, origin):
    path = tmp_path / "r.yaml"
    path.write_text(f"extends: bert-mlm\n{FILES[file]}\n")
    overrides = [("model.hidden_size", override)] if override else []
    resolved = resolve(str(path), size=size, overrides=overrides)
    assert resolved.recipe.model.hidden_size == value
    found = resolved.origins()["model.hidden_size"].replace(str(path), "r.yaml")
    assert found.startswith(origin) or found.endswith(origin)
    child = tmp_path / "child.yaml"  # whoever extends it by nothing changes nothing
    child.write_text("extends: r.yaml\n")
    assert resolve(str(child), size=size, overrides=overrides).recipe == resolved.recipe


def test_a_size_still_fills_in_what_another_kind_of_model_leaves_open(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("extends: bart\nmodel: {type: encoder_decoder, hidden_size: 64}\n")
    assert resolve(str(path)).recipe.model.hidden_size == 64
    path.write_text("extends: gpt2\nmodel: {type: encoder, num_hidden_layers: 1}\n")
    model = resolve(str(path)).recipe.model
    assert (model.num_hidden_layers, model.hidden_size) == (1, 128)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", False),
        ("size: mini", True),
        ("model: {num_hidden_layers: 3}", True),
        ("model: {hidden_dropout_prob: 0.2}", False),
        ("training: {optimizer: {learning_rate: 1e-3}}", False),
    ],
)
def test_a_file_says_its_size(tmp_path, text, says):
    path = tmp_path / "r.yaml"
    path.write_text(f"extends: laptop\n{text}\n")
    assert says_its_size(str(path)) is says
    fitted = resolve(str(path), fitted_size="mini").recipe
    assert fitted.training.optimizer.learning_rate == (1e-3 if "learning_rate" in text else 2e-3)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("extends: laptop\nnames: [a]", "r.yaml:2: names is ['a'], must be a mapping of names"),
        ("extends: laptop\nsizes: 3", "r.yaml:2: sizes is 3, must be a mapping of names"),
        ("extends: laptop\nsize: [a]", "r.yaml:2: size is ['a'], must be the name of one of the `sizes`"),
        (
            "extends: laptop\nnames: {a.b: 3}",
            "r.yaml:2: the short name 'a.b' stands for 3; write a setting's dotted path",
        ),
    ],
)
def test_sizes_and_names_of_another_shape(tmp_path, text, line):
    assert refusal(tmp_path, text) == [line]


# Section numbers stand in the recipes.
PAPERS_ROWS = {
    "albert-sop": (4096, 512),
    "bart": (8000, 512),
    "bert": (256, 128),
    "distilbert": (4096, 512),
    "electra": (256, 512),
    "gpt2": (512, 1024),
    "roberta": (8192, 512),
    "spanbert": (256, 512),
    "t5": (128, 512),
    "t5-baseline": (128, 512),
    "unilm": (330, 512),
    "xlm": (64, 256),
    "xlm-r": (8192, 512),
    "xlnet": (8192, 512),
}


@pytest.mark.parametrize("name", PAPERS_ROWS)
def test_the_size_base_has_the_papers_rows(name):
    recipe, fitted = resolve(name, size="base").recipe, resolve(name, fitted_size="base").recipe
    assert (recipe.training.batch_size, recipe.length) == PAPERS_ROWS[name]
    small = resolve(name, size="tiny").recipe
    assert (fitted.model.hidden_size, fitted.length) == (768, small.length)
    assert fitted.training.batch_size == small.training.batch_size


LONG = "9" * 5000


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("training.seed", LONG),
        ("training.seed", "-1"),
        ("training.seed", "1e30"),
        ("training.seed", "99999999999999999999"),
        ("training.budget", f"{LONG}steps"),
        ("training.budget", "1e300steps"),
        ("training.budget", "0steps"),
        ("training.batch_size", "99999999999"),
        ("training.workers", "100000"),
        ("training.views", LONG),
        ("training.keep_checkpoints", "1e9"),
        ("training.optimizer.learning_rate", LONG),
        ("training.optimizer.learning_rate", "1e400"),
        ("length", "10000000000"),
        ("model.num_hidden_layers", "99999999999"),
        ("model.hidden_size", LONG),
        ("model.hidden_size", "-128"),
        ("model.hidden_dropout_prob", "1e17"),
        ("tokenizer.vocab_size", "1000000000000"),
        ("tokenizer.vocab_size", LONG),
        ("masking.rate", "1.0000001"),
        ("masking.rate", LONG),
        ("masking.rate", "{a: [1, 2]}"),
    ],
)
def test_numbers_out_of_range_are_one_short_line(path, written, tmp_path):
    """On the command line, and in a file with its place."""
    with pytest.raises(UserError) as error:
        resolve("bert-mlm", overrides=[(path, written)])
    (line,) = error.value.lines
    assert line.startswith(f"--{path}") and len(line) < 350
    long = resolve("bert-mlm").names.get(path, (path,))[0]
    if ".0." in long:
        return  # in a file it would be the whole list
    file, nested = tmp_path / "r.yaml", written
    for key in reversed(long.split(".")):
        nested = f"{{{key}: {nested}}}"
    file.write_text(f"extends: bert-mlm\n{nested[1:-1]}\n")
    with pytest.raises(UserError) as error:
        resolve(str(file))
    (line,) = error.value.lines
    assert line.startswith(f"{file}:2") and len(line) < 350 + len(str(file))


def test_albert_trains_with_lamb_where_it_has_the_papers_batch():
    """The rate of LAMB belongs to 4,096 rows; with few it learns next to nothing (docs/methods-check.md)."""
    base, small = (resolve("albert-sop", size=size).recipe.training.optimizer for size in ("base", "small"))
    assert (name_of(base), base.learning_rate, base.weight_decay) == ("lamb", 1.76e-3, 0.01)
    assert name_of(small) == "adamw"
