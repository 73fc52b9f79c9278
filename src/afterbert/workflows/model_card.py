"""The model card: what a stranger must know who finds the model folder alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from afterbert import __version__
from afterbert.base.markdown import in_markdown
from afterbert.probes.figure import Figure
from afterbert.recipes.recipe import Recipe
from afterbert.text.token_store.store import Store


def model_card(
    recipe: Recipe,
    store: Store,
    evaluation: Mapping[str, Any],
    *,
    notes: Sequence[str] = (),
    imports: str = "",
    loader: str = "AutoModel",
) -> str:
    """Returns a model card: Markdown with a YAML head, as Hugging Face reads it. Texts from elsewhere are escaped by
    in_markdown; a YAML dumper writes the head. notes: what else to know of the folder; imports: what its code must
    import first; loader: the auto class that opens it."""
    languages = sorted(name for name in store.languages if name)
    fills = ["fill-mask"] if "masked_accuracy" in evaluation.get("measures", {}) else []
    head = {"library_name": "transformers", "tags": ["afterbert", *fills]}
    head |= {"language": languages} if languages else {}
    summary = store.summary()
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False, allow_unicode=True).strip(),
        "---",
        "",
        f"# {in_markdown(recipe.title)}",
        "",
        f"Trained with afterbert {__version__} on {summary['splits']['train']['pieces']:,} pieces of text "
        f"({in_markdown(', '.join(source['name'] for source in summary['sources'][:5]))}), "
        f"for {recipe.training.budget}.",
        "",
        "```python",
        *([f"import {imports}"] if imports else []),
        f"from transformers import {loader}, AutoTokenizer",
        f'model, tokenizer = {loader}.from_pretrained("."), AutoTokenizer.from_pretrained(".")',
        "```",
        "",
        *_figures(evaluation),
        *(line for note in notes for line in (f"Note: {in_markdown(note)}.", "")),
        "The text it learned from decides what it knows and how it speaks; it was not checked for bias or "
        "for private facts.",
    ]
    return "\n".join(lines) + "\n"


def _figures(evaluation: Mapping[str, Any]) -> list[str]:
    measures, baselines = evaluation.get("measures", {}), evaluation.get("baselines", {})
    shared = [in_markdown(str(Figure(**evaluation["shared"]))) + ".", ""] if evaluation.get("shared") else []
    if not measures:
        own = [f"- {in_markdown(line)}" for line in evaluation.get("own", [])]
        return [*(["Held-out figures of its own task:", "", *own, ""] if own else []), *shared]
    asked = evaluation.get("counts", {}).get("asked", 0)
    by = f", named by {evaluation['asked']}" if evaluation.get("asked") else ""
    lines = [f"On {asked:,.0f} masked pieces of held-out text (15%, fixed noise){by}:", "", "| | |", "|---|---|"]
    lines += [f"| {in_markdown(name.replace('_', ' '))} | {value:.4g} |" for name, value in measures.items()]
    lines += [f"| guessing by the {in_markdown(n.replace('_', ' '))} | {value:.4g} |" for n, value in baselines.items()]
    return [*lines, "", *shared]
