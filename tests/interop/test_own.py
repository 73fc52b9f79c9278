"""Our own layout: what has no exact form elsewhere goes out and comes back, and AutoModel reads it once
afterbert is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.folder import export_folder
from afterbert.interop.importing import import_folder
from afterbert.interop.own import Own
from afterbert.interop.reading import hidden_states
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.nn.recurrence import Halting, Recurrence
from afterbert.nn.sharing.all import ShareAll
from afterbert.nn.stack import Stack

VOCABULARY = Vocabulary(size=29, pad=0, cls=2, sep=3)
SMALL: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 12}
HALTING = Stack(sharing=ShareAll(), recurrence=Recurrence(halting=Halting()))
FORMS: dict[str, Architecture] = {
    "encoder": Encoder(**SMALL, stack=HALTING),
    "decoder": replace(Decoder(**SMALL), stack=HALTING),
    "encoder_decoder": EncoderDecoder(**SMALL, stack=HALTING),
    "permutation": Permutation(**SMALL, mem_len=3),
}
AUTO = {
    "encoder": "AutoModelForMaskedLM",
    "decoder": "AutoModelForCausalLM",
    "encoder_decoder": "AutoModelForSeq2SeqLM",
    "permutation": "AutoModelForCausalLM",
}
IDS = torch.tensor([[2, 7, 8, 9, 3], [2, 9, 3, 0, 0]])
MASK = (IDS != 0).long()


def write(folder: Path, architecture: Architecture) -> tuple[torch.nn.Module, torch.nn.Module]:
    torch.manual_seed(0)
    backbone = architecture.build(VOCABULARY).eval()
    head = architecture.build_lm_head(backbone).eval()
    export_folder(folder, architecture, backbone, {"lm_head": head}, vocabulary=VOCABULARY, family=Own())
    return backbone, head


@pytest.mark.parametrize("name", FORMS)
def test_every_architecture_comes_back_the_same(name: str, tmp_path: Path) -> None:
    backbone, head = write(tmp_path, FORMS[name])
    imported = import_folder(tmp_path)
    assert imported.architecture == replace(FORMS[name], vocab_size=29)  # type: ignore[type-var]
    assert imported.notes == ()
    again, head_again = (part.eval() for part in imported.build())
    assert torch.equal(head(hidden_states(backbone, IDS, MASK)), head_again(hidden_states(again, IDS, MASK)))


def test_it_is_the_last_resort_of_an_export(tmp_path: Path) -> None:
    for architecture, expected in ((FORMS["encoder"], "afterbert"), (Encoder(**SMALL), "bert")):
        backbone = architecture.build(VOCABULARY)
        head = architecture.build_lm_head(backbone)
        family = export_folder(
            tmp_path / expected, architecture, backbone, {"lm_head": head}, vocabulary=VOCABULARY, or_own=True
        )
        assert family.model_type == expected
    with pytest.raises(UserError, match="no exact form"):
        export_folder(tmp_path, FORMS["encoder"], backbone, {"lm_head": head}, vocabulary=VOCABULARY)


@pytest.mark.parametrize("name", FORMS)
def test_auto_classes_load_it(name: str, tmp_path: Path) -> None:
    import transformers

    backbone, head = write(tmp_path, FORMS[name])
    theirs, report = getattr(transformers, AUTO[name]).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values()), report
    hidden = hidden_states(backbone, IDS, MASK)
    assert torch.equal(theirs.eval()(IDS, attention_mask=MASK).logits, head(hidden))
    alone = transformers.AutoModel.from_pretrained(tmp_path).eval()
    assert torch.equal(alone(IDS, attention_mask=MASK).last_hidden_state, hidden)
    assert "auto_map" not in json.loads((tmp_path / "config.json").read_text())


@pytest.mark.parametrize(
    "lines",
    [
        "import afterbert; from transformers import AutoModel",
        "from transformers import AutoModel; import afterbert",
        "import transformers, afterbert; from transformers import AutoModel",
    ],
)
def test_any_order_of_imports_will_do(lines: str, tmp_path: Path) -> None:
    write(tmp_path, FORMS["encoder"])
    program = f"{lines}; print(type(AutoModel.from_pretrained({str(tmp_path)!r})).__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "AfterbertModel"


def test_importing_afterbert_imports_neither_torch_nor_transformers() -> None:
    program = "import sys, afterbert; print([name for name in ('torch', 'transformers') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architecture": 3}, "has no architecture tree"),
        ({"architecture": {"type": "encoder", "hidden_size": 1 << 30}}, "must be a whole number from 1 to 65,536"),
        ({"architecture": {"type": "encoder", "num_hidden_layers": 10**9}}, "must be a whole number from 1 to 512"),
        ({"architecture": {"type": "eval"}}, "eval"),
        ({"architecture": {"type": "encoder", "code": "x"}}, "code"),
    ],
)
def test_a_hostile_tree_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    write(tmp_path, FORMS["encoder"])
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError) as refusal:
        import_folder(tmp_path)
    assert said in str(refusal.value) and len(refusal.value.lines) == 1


def test_a_decoder_writes_with_padding_in_front(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    backbone, head = write(tmp_path, FORMS["decoder"])
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    settings = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    written = theirs.generate(torch.tensor([[2, 7, 8]]), attention_mask=torch.ones(1, 3), **settings)
    expected = [2, 7, 8]
    for _ in range(4):
        expected.append(int(head(backbone(torch.tensor([expected])))[0, -1].argmax()))
    assert written.tolist() == [expected]
    rows, mask = torch.tensor([[0, 0, 2, 7, 8], [2, 7, 8, 9, 3]]), torch.tensor([[0, 0, 1, 1, 1], [1] * 5])
    assert theirs.generate(rows, attention_mask=mask, **settings)[0, 2:].tolist() == expected


@pytest.mark.parametrize("num_beams", [1, 3])
def test_an_encoder_decoder_writes(num_beams: int, tmp_path: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM

    backbone, head = write(tmp_path, FORMS["encoder_decoder"])
    theirs = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    settings = {"max_new_tokens": 4, "do_sample": False, "num_beams": num_beams, "eos_token_id": 28}
    written = theirs.generate(IDS, attention_mask=MASK, **settings)
    alone = theirs.generate(IDS[1:, :3], attention_mask=MASK[1:, :3], **settings)
    assert written[1].tolist()[: alone.shape[1]] == alone[0].tolist()
    if num_beams == 1:
        expected = [3]  # begins with eos, like BART
        for _ in range(4):
            hidden = hidden_states(backbone, IDS[:1], MASK[:1], decoder_input_ids=torch.tensor([expected]))
            expected.append(int(head(hidden)[0, -1].argmax()))
        assert written[0].tolist() == expected


def _rolled(rows: torch.Tensor) -> torch.Tensor:
    """Moves the two paddings of the second row of three pieces to its front."""
    return torch.stack((rows[0], rows[1].roll(2, 0)))


@pytest.mark.parametrize("name", FORMS)
def test_padding_in_front_changes_nothing(name: str, tmp_path: Path) -> None:
    import transformers

    write(tmp_path, FORMS[name])
    theirs = getattr(transformers, AUTO[name]).from_pretrained(tmp_path).eval()
    right = theirs(IDS, attention_mask=MASK).logits
    left = theirs(_rolled(IDS), attention_mask=_rolled(MASK)).logits
    assert right.dtype == torch.float32
    assert torch.equal(left[0], right[0]) and torch.equal(left[1, 2:], right[1, :3])
    alone = theirs(IDS[1:, :3]).logits  # the same text in a row of its own
    assert torch.allclose(left[1, 2:], alone[0], atol=1e-5)


def test_an_encoder_decoder_reads_and_writes_with_padding_in_front(tmp_path: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM

    write(tmp_path, FORMS["encoder_decoder"])
    theirs = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    settings = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    right = theirs.generate(IDS, attention_mask=MASK, **settings)
    assert torch.equal(theirs.generate(_rolled(IDS), attention_mask=_rolled(MASK), **settings), right)
    given = {"attention_mask": MASK, "decoder_input_ids": IDS}
    there = theirs(IDS, **given, decoder_attention_mask=MASK).logits
    given["decoder_input_ids"] = _rolled(IDS)
    here = theirs(IDS, **given, decoder_attention_mask=_rolled(MASK)).logits
    assert torch.equal(here[1, 2:], there[1, :3])


@pytest.mark.parametrize("name", ["encoder", "permutation"])
def test_what_writes_nothing_says_so(name: str, tmp_path: Path) -> None:
    import transformers

    write(tmp_path, FORMS[name])
    theirs = getattr(transformers, AUTO[name]).from_pretrained(tmp_path)
    with pytest.raises(UserError, match=f"a model of type {name} writes no text"):
        theirs.generate(IDS)
