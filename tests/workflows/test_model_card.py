"""The model card holds figures, and nothing that a stranger's text could make of it."""

import yaml

from afterbert.recipes import resolve
from afterbert.workflows.model_card import model_card


class Store:
    languages = ("", "en")

    def summary(self):
        sources = [{"name": "<script>alert(1)</script>|`x`\x1b[31m"}]
        return {"splits": {"train": {"pieces": 1234}}, "sources": sources}


def test_a_card_is_harmless_and_its_head_is_yaml():
    evaluation = {
        "measures": {"masked_accuracy": 0.25},
        "baselines": {"most_frequent_piece": 0.05},
        "counts": {"asked": 99},
    }
    card = model_card(resolve("laptop").recipe, Store(), evaluation)
    assert yaml.safe_load(card.split("---")[1]) == {
        "library_name": "transformers",
        "tags": ["afterbert", "fill-mask"],
        "language": ["en"],
    }
    assert "<script" not in card and "\x1b" not in card
    assert "| masked accuracy | 0.25 |" in card
    assert "| guessing by the most frequent piece | 0.05 |" in card


def test_a_model_without_a_fixed_question_shows_its_own_figures():
    card = model_card(resolve("laptop").recipe, Store(), {"own": ["next pieces, loss: 2.000 nats per piece"]})
    assert "- next pieces, loss: 2.000 nats per piece" in card
    assert "fill-mask" not in card
