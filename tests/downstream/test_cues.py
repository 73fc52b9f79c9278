"""Tasks put to a model as texts to go on with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from afterbert.base import plugins
from afterbert.base.errors import UserError
from afterbert.downstream.cues import Cue, CuedRows
from afterbert.downstream.cues.candidates import CandidatesCue
from afterbert.downstream.cues.summary import Summary
from afterbert.downstream.cues.translation import Translation
from afterbert.downstream.cues.whole_sentence import WholeSentence
from afterbert.downstream.example import Example
from afterbert.downstream.reading.data import TaskData
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.multiple_choice import MultipleChoice
from afterbert.downstream.zero_shot.cue_scoring import ask, write_cued
from afterbert.downstream.zero_shot.likelihood import log_chances
from afterbert.downstream.zero_shot.text_generation import TextGenerator
from afterbert.interop.loaded import LoadedModel
from afterbert.models.decoder import Decoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from invented_examples import invented

TEXTS = ["the trophy is too large for the box because the trophy is big .", "a fine film", "a dull film"]


def generator(kind=Decoder, **settings):
    tokenizer = ByteLevelBPE(vocab_size=330, min_frequency=1, **settings).make(TEXTS * 4, corpus_bytes=400)
    torch.manual_seed(0)
    architecture = kind(hidden_size=32, intermediate_size=64, max_position_embeddings=128)
    made = TextGenerator.of(LoadedModel("toy", architecture, tokenizer, {}, None))
    with torch.no_grad():
        for parameter in made.backbone.parameters():
            parameter.mul_(4)
    return made


PAIRS = [("the trophy", " is big"), ("", " a fine film"), ("a dull", " film"), ("the box", " is big")]


def test_likelihoods_are_those_of_a_plain_loop():
    writer = generator()
    found = log_chances(writer, PAIRS)
    for (prompt, text), mine in zip(PAIRS, found):
        row, ids, total = writer.prompt_ids(prompt), writer.model.tokenizer.encode(text), 0.0
        with torch.inference_mode():
            for piece in ids:
                logits = writer.lm_head(writer.backbone(torch.tensor([row]))[0, -1:])
                total += logits.log_softmax(-1)[0, piece].item()
                row = [*row, piece]
        assert mine == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("settings", [{}, {"sentinels": 2, "ends": "last"}])
def test_an_encoder_decoder_reads_the_prompt_and_writes_the_answer(settings):
    writer = generator(EncoderDecoder, **settings)
    found = log_chances(writer, PAIRS)
    known = writer.model.tokenizer.vocabulary
    for (prompt, text), mine in zip(PAIRS, found):
        ids, total = writer.model.tokenizer.encode(text), 0.0
        mark = known.sentinels[0] if known.sentinels else known.mask
        before = [] if known.sentinels else writer.model.tokenizer.plain.encode(prompt).ids[:-1]
        start = known.need(writer.model.architecture.writing_start(known))
        written = [start, *([mark] if known.sentinels else before)]
        read = writer.prompt_ids(f"{prompt} [MASK]")
        assert mark in read
        with torch.inference_mode():
            for piece in ids:
                hidden = writer.backbone(torch.tensor([read]), torch.tensor([written]))
                total += writer.lm_head(hidden[0, -1:]).log_softmax(-1)[0, piece].item()
                written = [*written, piece]
        assert mine == pytest.approx(total, rel=1e-4)


def fitting_task(cue):
    task = plugins.find(Task, cue.tasks[0].__module__.rsplit(".", 1)[-1])()
    rows = invented(task)
    return TaskData("toy", task.settled(rows), {"train": rows[:5], "dev": rows[5:]}, ())


@pytest.mark.parametrize("kind", [Decoder, EncoderDecoder])
@pytest.mark.parametrize("name", plugins.names(Cue))
def test_every_cue_answers_in_the_terms_of_its_task(name, kind, tmp_path):
    cue = plugins.find(Cue, name)()
    data = fitting_task(cue)
    done = ask(generator(kind), data, cue)
    again = ask(generator(kind), data, cue)
    assert done.predictions == again.predictions
    assert len(done.predictions["dev"]) == 3
    assert set(done.result.splits) == set(done.control.splits) == {"dev"}
    write_cued(tmp_path, done, model="toy", cue=cue)
    assert len((tmp_path / "predictions" / "toy.dev.jsonl").read_text().splitlines()) == 3


def test_a_cue_for_another_kind_of_task_is_one_line():
    data = fitting_task(CandidatesCue())
    with pytest.raises(UserError, match="toy is sentence classification, but the cue summary poses text to text"):
        ask(generator(), data, Summary())
    with pytest.raises(UserError, match="--cue.words names 1 words, but there are"):
        ask(generator(), data, CandidatesCue(words=("one",)))
    with pytest.raises(UserError, match="5 training rows to show as examples, but the cue wants 9"):
        ask(generator(), fitting_task(Translation()), Translation(num_shots=9))


def test_an_example_whose_label_the_task_does_not_name_is_not_shown():
    task = replace(fitting_task(CandidatesCue()).task, labels=("a", "b"), label_words={})
    rows, shots = [Example("0", ("a fine film",))], [Example("1", ("a dull film",), "c")]
    asked = CuedRows(generator(), task, rows, shots)
    assert CandidatesCue().answers(asked) == CandidatesCue().answers(replace(asked, shots=()))


def test_full_and_partial_scoring_ask_for_different_parts():
    writer, prompt = generator(), "the _ is too large for the box"
    rows = [Example("0", (prompt, "trophy", "film"), 0)]
    given = {
        "full": [("", "the trophy is too large for the box"), ("", "the film is too large for the box")],
        "partial": [("the trophy", " is too large for the box"), ("the film", " is too large for the box")],
    }
    for scoring, pairs in given.items():
        found = WholeSentence(scoring=scoring).answers(CuedRows(writer, MultipleChoice(), rows))
        assert found == [int(np.argmax(log_chances(writer, pairs)))]


def test_the_prompt_of_a_summary_and_of_a_translation():
    seen = []

    class Pen:
        def write(self, prompts, *_, **settings):
            seen.extend(prompts)
            return [" One. Two. Three. Four."] * len(prompts)

    task, shots = plugins.find(Task, "text_to_text")(), [Example("s", ("one",), ("eins",))]
    rows = [Example("0", ("two",), ("zwei",))]
    assert Summary().answers(CuedRows(Pen(), task, rows)) == ["One. Two. Three."]
    assert Translation().answers(CuedRows(Pen(), task, rows, shots)) == ["One."]
    Translation().answers(CuedRows(Pen(), task, rows, shots, cued=False))
    assert seen == ["two\nTL;DR:", "one = eins\ntwo =", "two"]
