"""Pieces that a text does not use lose their rows; what the text is cut into stays the same.

Source: Abdaoui et al. (2010.05609), who cut multilingual BERT down to one language; here special pieces, single letters
and bytes always stay, so that any text can still be written.
"""

from dataclasses import dataclass, replace
from typing import Any, cast

from afterbert.compression.methods import Method, Setting
from afterbert.compression.subject import Form, Subject
from afterbert.interop.revocabulary import with_vocabulary
from afterbert.text.from_paths import sources_for
from afterbert.text.pieces.vocabulary_change import trimmed
from afterbert.text.reading import read


@dataclass(frozen=True)
class TrimmedVocabulary(Method):
    """Removes the pieces that the texts do not use."""

    saves = frozenset(("parameters", "nonzero", "bytes"))
    exact = True

    text: str = ""
    """A file or folder with the text that the model is to serve, besides the task's training rows; empty: these alone.
    """

    def check(self, form: Form) -> Form:
        form.need_weights("vocabulary")
        if self.text:
            sources_for([self.text])
        else:
            form.need_task("vocabulary without a text")
        return replace(form, architecture=replace(cast(Any, form.architecture), vocab_size=None))

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        texts = [document.text for document in read(sources_for([self.text]))] if self.text else []
        if setting.rows.get("train") or not texts:
            texts += [text for row in setting.learned_from() for text in row.texts]
        change = trimmed(subject.model.tokenizer, texts)
        change.tokenizer.save(setting.folder)
        return subject.with_model(replace(with_vocabulary(subject.model, change), folder=setting.folder))
