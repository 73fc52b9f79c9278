"""Every task as a text to write: `sst2 sentence: a fine film` -> `positive`. Answers are read off the text;
whatever is no answer counts as wrong.

Source: T5 (1910.10683), Sections 2.4 and Appendix D; on one stack, source and target stand one behind the other,
and only the target is scored (GPT, Radford et al. 2018, Section 3.3, with the language model's own head).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.plugins import name_of
from afterbert.base.rows import Rows, ranges, starts_of
from afterbert.downstream.example import Example
from afterbert.downstream.heads import Footing, Head, HeadModule, Outputs
from afterbert.downstream.heads._t5_formats import FORMATS, format_of
from afterbert.downstream.posing.formatting import Formatter, Stretches
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.posing.prepared import Prepared, one_row_each
from afterbert.downstream.posing.writing import ToWrite, Writer, end_of
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.tasks import Task, labels_of
from afterbert.interop.loaded import LoadedModel
from afterbert.models import Backbone, Start
from afterbert.objectives.parts.scores import summed_cross_entropy


@dataclass(frozen=True)
class Text(Head):
    """Answers a task by writing text."""

    answers: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[bool] = True

    prefix: str | None = None
    """The text before each source; None: T5's for tasks that T5 knows, else the task's name."""
    known_as: str | None = None
    """The name under which T5 writes the task's texts and labels; None: looked up by the task's name; empty: none."""
    target_length: Annotated[int, Field(ge=2)] = 64
    """How many pieces are written at most."""
    start: Start | None = None
    """The special piece with which writing begins; None: the one that the model is used to."""
    layout: Literal["encoder_decoder", "behind"] | None = None
    """Which stack reads and which writes; None: as the model is built."""
    generation: Generation = Generation()

    @classmethod
    def serves(cls, task: Task) -> bool:
        """Returns whether any head answers the task: every such task can be written."""
        return task.usual_head is not None

    def settled(self, model: LoadedModel, name: str) -> Text:
        if model.architecture.writes == "nothing":
            raise UserError(
                f"{name}: texts are written by an encoder-decoder or a decoder, but {model.name} is "
                f"{name_of(model.architecture).replace('_', ' ')}; choose another model"
            )
        known_as = format_of(name) if self.known_as is None else self.known_as
        if known_as and known_as not in FORMATS:
            raise UserError(f"{name}: T5 knows no task called '{known_as}'; {did_you_mean(known_as, list(FORMATS))}")
        usual = FORMATS[known_as].prefix if known_as else name
        return replace(
            self,
            prefix=usual if self.prefix is None else self.prefix,
            known_as=known_as,
            start=self.start or model.architecture.writing_start(model.tokenizer.vocabulary),
            layout="encoder_decoder" if model.architecture.writes == "apart" else "behind",
        )

    def prepare(self, task: Task, examples: Sequence[Example], formatter: Formatter) -> Prepared:
        assert self.start is not None and self.layout is not None and self.prefix is not None, "is settled"
        written = min(self.target_length, formatter.length)
        room = formatter.length if self.layout == "encoder_decoder" else formatter.length - written
        if room < 4 + formatter.one.num_specials:
            raise UserError(
                f"length {formatter.length} leaves no room to read beside {written} pieces to write; raise --length, "
                "or lower --head.target_length"
            )
        spelled = self._spelled(task)
        sources, cut = _cut_rows([self._source(spelled, e) for e in examples], formatter, room)
        is_asked = np.array([example.label is not None for example in examples], dtype=bool)
        texts = [spelled.target_text(e.label) if e.label is not None else "" for e in examples]
        targets, cut_too = _cut_rows(texts, formatter, written - (not formatter.one.behind))
        vocabulary = formatter.tokenizer.vocabulary
        end = formatter.one.behind[-1] if formatter.one.behind else end_of(vocabulary)
        if not formatter.one.behind:
            targets = _closed(targets, end)
        return one_row_each(
            task,
            examples,
            sources,
            asked=np.where(is_asked, targets.lengths, 0),
            cut=int((cut | cut_too).sum()),
            to_write=ToWrite(targets, vocabulary.need(self.start), end, formatter.tokenizer),
            row_arrays={
                "written_from": np.full(len(examples), vocabulary.need(self.start)),
                "written_to": np.full(len(examples), end),
                "written_at_most": np.full(len(examples), written),
            },
        )

    def build(self, task: Task, on: Footing) -> HeadModule:
        return TextModule(self.generation)

    def answered(self, asked: Prepared, outputs: Outputs) -> list[Prediction]:
        assert asked.to_write is not None
        task, to_write = self._spelled(asked.task), asked.to_write
        texts = [to_write.text(ids) for ids in outputs]
        if task.answer == "class":
            # A tokenizer may give a class name back in other letters or with other spaces; of a name with unknown
            # pieces it does not give back enough to tell it from others.
            known: dict[str, str] = {}
            unknown = to_write.tokenizer.vocabulary.unknown
            for text in (task.target_text(label) for label in labels_of(task)):
                ids = np.array(to_write.tokenizer.encode(text), dtype=np.int64)
                known |= {} if (ids == unknown).any() else {to_write.text(ids): text}
            texts = [known.get(text, text) for text in texts]
        return [Prediction(task.read_answer(text)) for text in texts]

    def _spelled(self, task: Task) -> Task:
        return FORMATS[self.known_as].spelled(task) if self.known_as else task

    def _source(self, task: Task, example: Example) -> str:
        assert self.prefix is not None, "is settled"
        known = FORMATS.get(self.known_as or "")
        if known is None or len(known.order) != len(example.texts):
            return task.source_text(example, self.prefix)
        return known.source(example, self.prefix)


class TextModule(HeadModule):
    """Has no weights of its own: all tasks share the language model's head, which is handed in."""

    writes: ClassVar[bool] = True

    def __init__(self, generation: Generation):
        super().__init__()
        self.generation = generation
        self._shared: tuple[Backbone, nn.Module] | None = None

    def attach(self, backbone: Backbone, lm_head: nn.Module) -> None:
        # In a tuple, so that they are not taken for parts of this module.
        self._shared = (backbone, lm_head)

    def score(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        targets = arrays["target_ids"][arrays["target_ids"] >= 0]
        return summed_cross_entropy(self.logits(hidden, arrays), targets)

    def logits(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        assert self._shared is not None
        return self._shared[1](hidden[arrays["target_ids"] >= 0])

    def output(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns the written piece ids, int64 [B, U]. It does not look at the states, which know the target."""
        assert self._shared is not None
        start, end, longest = (int(arrays[f"written_{name}"][0]) for name in ("from", "to", "at_most"))
        return self.generation(Writer(*self._shared, arrays), arrays["number"], start=start, end=end, longest=longest)


def _cut_rows(texts: Sequence[str], formatter: Formatter, longest: int) -> tuple[Rows, np.ndarray]:
    """Framed rows of at most `longest` pieces, and which texts lost some [N]."""
    encoded = formatter.encode(texts)
    whole = Stretches.whole(encoded)
    room = longest - formatter.one.num_specials
    return formatter.rows(encoded, Stretches(whole.starts, np.minimum(whole.lengths, room))), whole.lengths > room


def _closed(rows: Rows, end: int) -> Rows:
    """The rows with one more piece at their ends."""
    starts = starts_of(rows.lengths + 1)
    ids = np.full(starts[-1], end, dtype=np.int32)
    ids[ranges(starts[:-1], rows.lengths)] = rows.piece_ids
    return Rows(ids, starts, rows.keys)
