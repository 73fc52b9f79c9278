"""`ab.load`: a model to use. It fills in, writes, encodes, predicts, and is evaluated."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from afterbert.api.asking import Paths, paths_of
from afterbert.api.run import spoken_figures
from afterbert.api.shown import ShowsItself, SmallTable
from afterbert.api.watch import Watch
from afterbert.downstream.finetuning.evaluation import task_name
from afterbert.downstream.finetuning.prediction import Answerer, Row
from afterbert.downstream.finetuning.saving import Loaded, load_finetuned
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.zero_shot.text_generation import TextGenerator
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.sentences import Sentences
from afterbert.probes.frozen_features import FrozenFeatures, FrozenModel
from afterbert.probes.masked_model import MaskedModel
from afterbert.probes.sentence_encoder import SentenceEncoder
from afterbert.text.from_paths import sources_for
from afterbert.training.devices import default_device
from afterbert.workflows.alignment import Alignment, align_models
from afterbert.workflows.evaluation import evaluate_on_texts
from afterbert.workflows.loading import load_any
from afterbert.workflows.searching import Hit, SearchIndex


@dataclass(frozen=True, repr=False)
class Model(ShowsItself):
    """A model to use. Each use is set up when first asked for; what the model cannot do raises UserError."""

    loaded: LoadedModel
    device: torch.device

    def fill(self, text: str, *, top: int = 5) -> Guesses:
        """Fills in the masks of a text.

        - text: a text with `[MASK]` (or `<mask>`) where a word is missing.
        - top: how many guesses each mask gets.
        """
        return Guesses(text, tuple(tuple(one) for one in self._masked.fill(text, top=top)))

    def generate(
        self,
        prompt: str = "",
        *,
        longest: int = 60,
        method: Literal["sample", "greedy", "beam"] = "sample",
        count: int = 1,
        seed: int = 0,
        stop: Sequence[str] = (),
        **settings: Any,
    ) -> list[str]:
        """Writes texts: a decoder goes on with the prompt, an encoder-decoder answers it.

        - longest: how many pieces are written at most. stop: texts before which the writing ends.
        - settings: `temperature`, `top_k` (40 unless given), `top_p`, `num_beams`, `length_penalty`.
        """
        if method == "sample" and not {"top_k", "top_p"} & settings.keys():
            settings["top_k"] = 40
        drawn = Generation(method=method, seed=seed, **settings).several(count)
        return [self._writer.write([prompt], one, longest=longest, stop=stop)[0] for one in drawn]

    def encode(
        self,
        texts: str | Sequence[str],
        *,
        layer: int | None = None,
        pooling: Literal["mean", "first", "last", "max"] | None = None,
        length: int = 128,
    ) -> np.ndarray:
        """Returns the vectors of texts, float32 [N, D], made from the states of their pieces.

        - layer: 0 for the embeddings, None for the last layer. length: how many pieces of a text are read.
        - pooling: how states become one vector; None: as the model was trained for, else by their mean.
        """
        frozen, listed = self._frozen, [texts] if isinstance(texts, str) else list(texts)
        usual = (self.loaded.sentences or Sentences()).pooling if pooling is None else pooling
        features = FrozenFeatures(layer=layer, pooling=usual, length=length)
        return features.sentences(frozen, [(text,) for text in listed])

    def search(
        self, texts: Paths, question: str, *, top: int = 5, by: Literal["meaning", "words", "both"] = "meaning"
    ) -> list[Hit]:
        """Returns the passages of texts that are nearest to a question, nearest first. The texts are read once; their
        index is kept below `runs/indexes`."""
        with Watch() as watch:
            sources = sources_for([str(path) for path in paths_of(texts)])
            index = SearchIndex.of(sources, self._sentences, root=Path("runs", "indexes"), observer=watch)
        return index.search(question, top=top, by=by)

    def predict(self, rows: Sequence[Row], *, task: str | None = None, language: str | None = None) -> list[Prediction]:
        """Answers rows with the fine-tuned head.

        - rows: one text each; or a tuple of texts: a pair, a question and its context, the words of a sentence to tag.
        - task: which head answers, if there are several.
        - language: the language of the rows, for a model with parts for each language.
        """
        name = task_name(self._finetuned, task)
        return Answerer(self._finetuned, name, language).rows(rows)

    def evaluate(self, texts: Paths, *, rate: float = 0.15, length: int = 128, max_rows: int = 512) -> Figures:
        """Measures how well the model fills in texts that it has not seen.

        - texts: files, folders, or one store.
        - rate: the share of pieces that is masked. length: pieces of a row. max_rows: how many rows are asked about.
        """
        with Watch() as watch:
            done = evaluate_on_texts(
                self._masked, paths_of(texts), rate=rate, length=length, max_rows=max_rows, observer=watch
            )
        return Figures(self.loaded.name, done.summary, done.notes)

    def align(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        other: Model | None = None,
        dictionary: Sequence[tuple[str, str]] | None = None,
        languages: tuple[str, str] | None = None,
        length: int = 128,
    ) -> Alignment:
        """Measures how well the states of every layer find translations.

        - pairs: texts that translate each other. other: the model of the second language.
        - dictionary: pairs of words; None counts them in the texts.
        - languages: codes, for a model with parts for each language. length: how many pieces of a text are read.
        """
        models = [self.loaded] if other is None else [self.loaded, other.loaded]
        with Watch() as watch:
            return align_models(
                models, pairs, languages=languages, dictionary=dictionary, length=length, observer=watch
            )

    def table(self) -> SmallTable:
        heads = [name.replace("_", " ") for name in self.loaded.weights if name != "backbone"]
        rows = [
            ("kind", type(self.loaded.architecture).__name__),
            ("heads", ", ".join(heads) or "none"),
            ("pieces a row", f"{self.loaded.longest:,}"),
            ("device", str(self.device)),
        ]
        return SmallTable(f"model {self.loaded.name}", [*rows, *(("note", note) for note in self.loaded.notes)])

    @cached_property
    def _finetuned(self) -> Loaded:
        return load_finetuned(self.loaded.name, device=self.device)

    @cached_property
    def _masked(self) -> MaskedModel:
        return MaskedModel.of(self.loaded, device=self.device)

    @cached_property
    def _writer(self) -> TextGenerator:
        return TextGenerator.of(self.loaded, device=self.device)

    @cached_property
    def _sentences(self) -> SentenceEncoder:
        return SentenceEncoder.of(self.loaded, device=self.device)

    @cached_property
    def _frozen(self) -> FrozenModel:
        backbone = self.loaded.backbone().to(self.device).eval()
        return FrozenModel(self.loaded.architecture, backbone, self.loaded.tokenizer)


@dataclass(frozen=True, repr=False)
class Guesses(ShowsItself, Sequence[tuple[tuple[str, float], ...]]):
    """The guesses for each mask of a text, likeliest first, as pairs of a piece and its probability."""

    text: str
    masks: tuple[tuple[tuple[str, float], ...], ...]

    def __getitem__(self, number: Any) -> Any:
        return self.masks[number]

    def __len__(self) -> int:
        return len(self.masks)

    def table(self) -> SmallTable:
        rows = [
            (f"mask {number}" if not place else "", f"{chance:6.1%}  {piece}")
            for number, guesses in enumerate(self.masks, start=1)
            for place, (piece, chance) in enumerate(guesses)
        ]
        return SmallTable(self.text, rows)


@dataclass(frozen=True, repr=False)
class Figures(ShowsItself, Mapping[str, float]):
    """The figures of an evaluation by name, such as `masked_accuracy`, `bits_per_byte`, `loss`."""

    name: str
    summary: Mapping[str, Any]
    """`measures`, `baselines` and `counts`."""
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        return self.summary["measures"][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.summary["measures"])

    def __len__(self) -> int:
        return len(self.summary["measures"])

    def table(self) -> SmallTable:
        return SmallTable(self.name, [*spoken_figures(self.summary), *(("note", note) for note in self.notes)])


def load(name: str | Path | os.PathLike[str], *, device: torch.device | str | None = None) -> Model:
    """Loads a model to use. Raises UserError.

    - name: a run, a run or model folder, or a hub name.
    - device: where it computes; when not given, the GPU where there is one.
    """
    place = torch.device(device) if device is not None else default_device()
    return Model(load_any(os.fspath(name)), place)
