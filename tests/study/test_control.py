"""Arms differ in what they declare and in nothing else, down into lists."""

from __future__ import annotations

import pytest

from afterbert.base.errors import UserError
from afterbert.base.tree import parse
from afterbert.study.control import resolved_arms
from afterbert.study.design import known_studies, read_study, scale_for, scales, study_of

HEAD = "question: Does it?\ndecision: {measure: missing_word, smallest: 0.01}\nbase: laptop\n"


def arms_of(text, scale="smoke"):
    study = study_of(parse(HEAD + text, label="mine.yaml"))
    return resolved_arms(study, scale_for(study, scale))


@pytest.mark.parametrize("name", known_studies())
@pytest.mark.parametrize("scale", list(scales()))
def test_every_study_passes_its_own_check_at_every_scale(name, scale):
    _, study = read_study(name)
    arms = resolved_arms(study, scale_for(study, scale))
    assert list(arms) == list(study.arms)
    assert not arms[study.reference].differences


def test_a_declared_setting_may_differ():
    arms = arms_of("arms: {a: {}, b: {set: {masking.rate: 0.4}}}")
    assert arms["b"].differences == {"objective.pretext.edits.0.selection.rate": (0.3, 0.4)}


def test_a_setting_that_a_new_kind_brings_along_is_declared_with_it():
    selection = "{type: geometric_spans, unit: word, rate: 0.3}"
    arms = arms_of(f"arms: {{a: {{}}, b: {{set: {{objective.pretext.edits.0.selection: {selection}}}}}}}")
    assert "objective.pretext.edits.0.selection.longest" in arms["b"].differences


def test_a_rate_that_goes_back_to_its_default_unsaid_is_refused():
    """`type: geometric_spans` alone takes the base's rate of 30% away: its own default is 15%."""
    with pytest.raises(UserError, match=r"arm b: objective.pretext.edits.0.selection.rate is 0.15, in a it is 0.3"):
        arms_of("arms: {a: {}, b: {set: {masking.law: geometric_spans, masking.unit: piece}}}")


def test_another_recipe_declares_the_nodes_in_which_it_differs():
    with pytest.raises(UserError, match="no arm declares that"):
        arms_of("arms: {a: {}, b: {recipe: roberta, differs: [model]}}")
    nodes = "[model, objective, training, tokenizer, length]"
    assert arms_of(f"arms: {{a: {{}}, b: {{recipe: roberta, differs: {nodes}}}}}")["b"].differences


def test_a_node_below_a_declared_one_of_the_same_beginning_is_not_declared():
    with pytest.raises(UserError, match=r"model.stack"):
        arms_of("arms: {a: {}, b: {recipe: roberta, differs: [model.sta, objective, training, tokenizer]}}")


def test_what_the_study_says_of_fine_tuning_holds_where_an_arm_says_nothing():
    text = "needs_tasks: true\nfinetune: {strategy: multi_task, set: {length: 16, head: text}}\n"
    arms = arms_of(text + "arms: {a: {}, b: {finetune: {set: {length: 32}}}}")
    assert arms["b"].arm.finetune.set == {"length": "32", "head": "text"}
    assert arms["b"].changes == {"finetune.set.length": ("16", "32")}


def test_arms_that_are_the_same_runs_are_refused():
    with pytest.raises(UserError, match="arms a and b are the same"):
        arms_of("arms: {a: {}, b: {set: {masking.rate: 0.3}}}")


def test_mistakes_of_all_arms_are_told_at_once():
    with pytest.raises(UserError) as error:
        arms_of("arms: {a: {set: {masking.rat: 1}}, b: {set: {masking.rate: 7}}}")
    assert [line.split(":")[0] for line in error.value.lines] == ["arm a", "arm b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arms: {a: {}, b: {set: {training.budget: 5Mtokens}}}", "arm b sets training.budget"),
        ("arms: {a: {}, b: {budget: 2, set: {training: {seed: 7}}}}", "arm b sets training.seed"),
        ("set: {training.seed: 5}\narms: {a: {}, b: {budget: 2}}", "the study sets training.seed"),
    ],
)  # fmt: skip
def test_what_the_machinery_decides_is_not_set(text, said):
    with pytest.raises(UserError, match=said):
        arms_of(text)


def test_recipes_that_differ_in_their_budget_alone_are_the_same_runs(tmp_path):
    (tmp_path / "longer.yaml").write_text("extends: laptop\ntraining: {budget: 77Mtokens, seed: 5}\n")
    with pytest.raises(UserError, match="arms a and b are the same"):
        arms_of(f"arms: {{a: {{}}, b: {{recipe: {tmp_path / 'longer.yaml'}}}}}")


def test_arms_are_called_by_words_of_any_script():
    study = study_of(parse(HEAD + "arms: {हिन्दी: {}, เร็ว: {budget: 2}}\nexpects: [เร็ว > हिन्दी]", label="mine.yaml"))
    assert study.expects[0].parts == ("เร็ว", ">", "हिन्दी")


def test_an_expectation_that_names_no_claim_speaks_for_none():
    text = "claims: [5]\narms: {a: {}, b: {budget: 2}}\nexpects: [a > b, {says: b > a, claims: []}]"
    study = study_of(parse(HEAD + text, label="mine.yaml"))
    assert [one.claims for one in study.expectations] == [(5,), ()]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arms: {a: {}}", "needs two or more"),
        ("arms: {a: {}, b: {}}\nexpects: [a > a]", "an arm against itself"),
        ("arms: {a: {}, b: {}}\nexpects: [a > b, a>b]", "says the same twice"),
        ("arms: {a: {}, b: {}}\nscales: {minuts: {length: 8}}", "did you mean 'minutes'"),
        ("arms: {a: {}, b: {}}\nfinetune: 3", "mine.yaml:5: finetune is 3, must be a mapping"),
        ("claims: [99]\narms: {a: {}, b: {}}", "has 99; the article's claims are 1 to 45"),
        ("arms: {a: {}, b: {is_pretrained: false}}", "add `needs_tasks: true`"),
        ("arms: {a: {}, b: {finetune: {share: 2}}}", "add `needs_tasks: true`"),
        ("arms: {a: {}, b: {is_pretrained: false, set: {length: 8}}}", "would have no effect"),
        ("arms: {a: {}, b: {is_told: false}}", "name one: cue: candidates"),
        ("arms: {a: {}, b: {cue: candidates, compress: [quantize]}}", "takes the place of fine-tuning; keep one"),
        ("arms: {a: {}, b: {}}\nexpects: [a > c]", "expects 'a > c'"),
        ("arms: {a: {}, b: {}}\nexpects: [a is better]", "write ARM > ARM"),
        ("arms: {a: {}, b: {}}\nmeasures: [mising_word]", "did you mean 'missing_word'"),
        ("arms: {a: {}, b: {}}\nmeasures: [bits_per_byte]", "decides by missing_word"),
        ("arms: {a: {is_pretrained: false}, b: {}}", "the first arm must be pre-trained"),
        ("arms: {a b: {}, b: {}}", "a name holds letters"),
        ("arm: {a: {}, b: {}}", "mine.yaml:4: arm is not a setting"),
        ("arms: {a: {}, b: {ensemble: 4}}", "add `needs_tasks: true`"),
        ("needs_tasks: true\narms: {a: {}, b: {compress: [layer]}}", "did you mean 'layers'"),
        ("arms: {a: {}, b: {finetune: {strategy: multi_tasks}}}", "did you mean 'multi_task'"),
        ("arms: {a: {}, b: {finetune: {strategy: alone}, compress: [quantize]}}", "leave finetune.strategy out"),
        ("arms: {a: {}, b: {cue: candidates, ensemble: 2}}", "leave compress and cue out"),
        ("arms: {a: {}, b: {shares_model: true}}", "write how many fine-tunings answer together: ensemble: 4"),
        ("texts: [c, d]\narms: {a: {text: c}, b: {text: e}}", "arm 'b' reads the text e"),
        ("texts: [c, d]\narms: {a: {text: c}, b: {}}", "arm 'b' reads the text None"),
        ("arms: {a: {}, b: {}}\npublished: {paper: x, where: y, finding: z, columns: [a], rows: {r: [1, 2]}}",
         "2 values for 1 columns"),
    ],
)  # fmt: skip
def test_a_study_that_makes_no_sense_is_refused_with_its_place(text, said):
    with pytest.raises(UserError, match=said):
        study_of(parse(HEAD + text, label="mine.yaml"))


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'masking-unit'"):
        read_study("masking-units")
    with pytest.raises(UserError, match="did you mean 'minutes'"):
        scale_for(read_study("masking-unit")[1], "minute")


@pytest.mark.parametrize(("scale", "layers"), [("smoke", 4), ("minutes", 3)])
def test_what_a_study_sets_at_a_scale_wins_over_what_it_sets_everywhere(scale, layers):
    text = "set: {model.num_hidden_layers: 4}\nscales: {minutes: {model.num_hidden_layers: 3}}\n"
    arms = arms_of(text + "arms: {a: {}, b: {set: {masking.rate: 0.4}}}", scale)
    assert {arm.resolved.recipe.model.num_hidden_layers for arm in arms.values()} == {layers}
