"""A page with a model inside: weights in eight bits, tokenizer and forward pass in one HTML file that asks nobody."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, cast

import numpy as np
from markupsafe import Markup
from torch import nn

from afterbert.base.config import to_plain
from afterbert.base.destination import PAGE_MARK, check_file
from afterbert.base.errors import UserError
from afterbert.base.run_files import is_run
from afterbert.models import LanguageModel
from afterbert.models.encoder import Encoder
from afterbert.nn.heads import LMHeadModule
from afterbert.probes.masked_model import MaskedModel
from afterbert.report import figures, summary
from afterbert.report.gallery import hung
from afterbert.report.pages import render, write_page
from afterbert.report.run_record import read_run
from afterbert.text.pieces.frame import Frame
from afterbert.text.pieces.spelling import piece_texts
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.workflows.loading import load_model_or_checkpoint

GROUP = 32  # numbers of a row that share one scale
_MOST_PARAMETERS = 12_000_000  # which makes a page of about 18 MB
_LONGEST_TEXT = 24  # pieces of the sentence that the page begins with
_TOO_LARGE = "`afterbert export {} OUT --web` writes a folder that transformers.js loads in a page"

# What page/model.js computes: of the architecture's nodes the types, of tokenizer.json the parts.
_BRICKS: dict[str, set[str | None]] = {
    "embeddings.positions": {"learned", "none"},
    "norm": {"layer_norm"},
    "stack.attention.positions": {"rotary", "none"},
    "stack.feed_forward": {"plain", "gated"},
    "stack.residual": {"pre_norm", "post_norm"},
    "stack.windows": {None},
    "stack.recurrence": {None},
}
_PARTS = {
    "normalizer": "Sequence|NFK?[CD]|Lowercase|StripAccents|Replace|Strip|BertNormalizer",
    "pre_tokenizer": "Sequence|WhitespaceSplit|Split|BertPreTokenizer|ByteLevel|Metaspace",
}
_OTHER_REGEX = re.compile(r"\(\?[^!=:<]|[+*?]\+|\\[hAzZGR]|&&")  # what JavaScript writes otherwise
_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data:; base-uri 'none'; form-action 'none'"
)


def write_model_page(source: Path, out: Path, *, overwrite: bool = False) -> int:
    """Writes the page of a run's or folder's masked language model to `out`; returns its bytes.

    The weights are rounded to eight bits with a scale for each 32 of a row. Raises UserError for a model that is too
    large or has parts that the page cannot compute, and where `out` holds what we did not make (unless `overwrite`).
    """
    if out.suffix not in (".html", ".htm"):
        raise UserError(f"{out}: a page is an .html file; name one")
    check_file(out, mark=PAGE_MARK, overwrite=overwrite)
    masked = MaskedModel.of(load_model_or_checkpoint(source))
    tokenizer, lm = masked.tokenizer, masked.language_model
    count = sum(parameter.numel() for part in lm.parts().values() for parameter in part.parameters())
    cure = _TOO_LARGE.format(source)
    if count > _MOST_PARAMETERS:
        most = figures.large(_MOST_PARAMETERS)
        raise UserError(f"{source} has {figures.large(count)} parameters, a page holds {most} at most; {cure}")
    told: dict[str, Any] = {"tokenizer": _tokenizer(tokenizer, cure), "texts": piece_texts(tokenizer)}
    told["ordinary"] = sorted(set(range(tokenizer.vocabulary.size)) - set(tokenizer.vocabulary.special_ids))
    told["model"], content = _model(lm, masked.loaded.longest, cure)
    record = read_run(source) if is_run(source) else None
    text = record.gallery.text if record else ""
    page = render(
        "model_page.html.jinja",
        title=str((record and record.setting("title")) or source.name),
        kicker=f"{source.name} · {figures.large(count)} parameters, eight bits each",
        mask=tokenizer.settings["mask_token"],
        example=_example(tokenizer, text),
        text=text,
        hung=hung(record.gallery) if record else (),
        measures=summary.in_words(record.measured.measures) if record else (),
        about=summary.described(record) if record else "",
        told=Markup(json.dumps(told, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")),
        weights=base64.b64encode(content).decode(),
        script=Markup("\n".join(page_file(f"{name}.js") for name in ("model", "view", "page"))),
    )
    page = with_policy(page)
    write_page(out, page, overwrite=overwrite)
    return len(page.encode())


def page_file(name: str) -> str:
    """Returns the text of a script of `report/page`."""
    return resources.files("afterbert.report").joinpath("page", name).read_text(encoding="utf-8")


def quantized(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns int8 codes [R, C] and float32 scales [R, ceil(C / 32)] of a float matrix, scaled by groups of a row.

    >>> codes, scales = quantized(np.array([[1.27, -0.5]], dtype=np.float32))
    >>> codes.tolist(), scales.round(4).tolist()
    ([[127, -50]], [[0.009999999776482582]])
    """
    rows, cols = weight.shape
    groups = -(-cols // GROUP)
    padded = np.pad(weight, ((0, 0), (0, groups * GROUP - cols))).reshape(rows, groups, GROUP)
    scales = np.abs(padded).max(-1).astype(np.float32) / np.float32(127)
    codes = np.rint(padded / np.where(scales > 0, scales, 1)[..., None]).astype(np.int8)
    return np.ascontiguousarray(codes.reshape(rows, -1)[:, :cols]), scales


def with_policy(page: str, *, also: str = "") -> str:
    """Returns the page with a policy that admits its own scripts and styles, by their hashes, and what `also` names,
    but nothing else."""
    found = {
        kind: " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()}'"
            for inner in re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        )
        for kind in ("script", "style")
    }
    return re.sub(r'(?<=Security-Policy" content=")[^"]*', lambda _: _POLICY.format(**found) + also, page, count=1)


def _model(lm: LanguageModel, longest: int, cure: str) -> tuple[dict[str, Any], bytes]:
    """What model.js reads of a model, and its weights: first all float32, then the int8."""
    kind, plain = lm.architecture, cast(dict[str, Any], to_plain(lm.architecture))
    if (
        not isinstance(kind, Encoder)
        or kind.stack.attention.has_relative_segments
        or kind.lm_head.is_scaled
        or (kind.embeddings.embedding_size and not kind.lm_head.has_transform)
    ):
        raise UserError(f"the page computes plain encoders, this is another kind of model; {cure}")
    for path, known in _BRICKS.items():
        node: Any = plain
        for part in path.split("."):
            node = node[part]
        found = node["type"] if isinstance(node, dict) else node
        if found not in known:
            raise UserError(f"the page cannot compute {path} of type {found}; {cure}")
    stack: Any = lm.backbone.stack
    plan, first = stack.plan, stack.attention[0].inner
    floats, codes, tensors = [], [], []
    for name, weight in _weights(lm).items():
        one: dict[str, Any] = {"name": name, "shape": weight.shape}
        tensors.append(one)
        if weight.ndim == 1:
            floats.append(("at", one, weight))
            continue
        whole, scales = quantized(weight)
        floats.append(("scales", one, scales))
        codes.append(("at", one, whole))
    content = bytearray()
    for key, one, array in floats + codes:
        one[key] = len(content)
        content += array.tobytes()
    told = {
        "hidden": kind.hidden_size,
        "embedding": lm.backbone.embeddings.table.weight.shape[1],
        "embedding_scale": lm.backbone.embeddings.scale,
        "heads": first.num_heads,
        "head_size": first.head_size,
        "intermediate": kind.intermediate_size,
        "scale": first.scale,
        "rotary": getattr(kind.stack.attention.positions, "theta", None),
        "pre_norm": plain["stack"]["residual"]["type"] == "pre_norm",
        "gated": plain["stack"]["feed_forward"]["type"] == "gated",
        "activation": plain["stack"]["feed_forward"]["activation"],
        "head_activation": kind.lm_head.activation,
        "eps": plain["norm"]["eps"],
        "attention": plan.attention,
        "feed_forward": plan.feed_forward,
        "longest": longest,
        "group": GROUP,
        "tensors": tensors,
    }
    return told, bytes(content)


def _weights(lm: LanguageModel) -> dict[str, np.ndarray]:
    """The tensors by name, those of factorized layers multiplied out."""
    parts: dict[str, nn.Module] = {"": lm.backbone, "lm_head.": lm.lm_head}
    found: dict[str, Any] = {}
    for prefix, part in parts.items():
        inside: tuple[str, ...] = ()
        for name, module in part.named_modules():
            weight = getattr(module, "weight", None)
            if weight is None or name.startswith(inside or ("\0",)):
                continue
            inside += (f"{name}.",)
            found |= {f"{prefix}{name}.weight": weight, f"{prefix}{name}.bias": getattr(module, "bias", None)}
    found["lm_head.bias"] = cast(LMHeadModule, lm.lm_head).bias
    return {name: one.detach().float().cpu().numpy() for name, one in found.items() if one is not None}


def _tokenizer(tokenizer: Tokenizer, cure: str) -> dict[str, Any]:
    """What model.js reads of a tokenizer. Raises UserError for parts that it does not know."""
    file = tokenizer.content
    model, known = file["model"], tokenizer.vocabulary
    kind = model.get("type", "WordPiece" if "max_input_chars_per_word" in model else "BPE")
    other = [kind] if kind not in ("WordPiece", "BPE", "Unigram") else []
    other += [key for key in ("end_of_word_suffix", "ignore_merges", "fuse_unk") if model.get(key)]
    other += ["continuing_subword_prefix"] if kind == "BPE" and model.get("continuing_subword_prefix") else []
    other += ["byte_fallback"] if kind == "Unigram" and model.get("byte_fallback") else []
    for name, types in _PARTS.items():
        for part in _parts(file.get(name)):
            written = part.get("pattern", {}).get("Regex", "")
            behaves = part.get("behavior", "Isolated") == "Isolated" and not part.get("invert")
            if not re.fullmatch(types, part["type"]) or _OTHER_REGEX.search(written) or not behaves:
                other.append(f"{name} {part['type']}")
    if other:
        raise UserError(f"the page cannot run this tokenizer ({', '.join(other)}); {cure}")
    pieces: list[str | None] = [None] * known.size
    listed = model["vocab"]
    for piece, at in listed.items() if isinstance(listed, dict) else ((one[0], at) for at, one in enumerate(listed)):
        pieces[at] = piece
    kept = ("merges", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "byte_fallback", "unk_id")
    told: dict[str, Any] = {"type": kind, "pieces": pieces, **{key: model[key] for key in kept if key in model}}
    if kind == "Unigram":
        told["scores"] = [score for _, score in model["vocab"]]
    frame = Frame.of(tokenizer)
    return {
        "model": told,
        "normalizer": file.get("normalizer"),
        "pre_tokenizer": file.get("pre_tokenizer"),
        "added": [{key: one[key] for key in ("id", "content", "lstrip", "rstrip")} for one in file["added_tokens"]],
        "before": frame.before,
        "behind": frame.behind,
        "mask": known.mask,
        "mask_token": tokenizer.settings["mask_token"],
    }


def _parts(tree: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """A part of tokenizer.json and those within it."""
    if tree is None:
        return []
    inner = [*tree.get("normalizers", ()), *tree.get("pretokenizers", ())]
    return [tree, *(part for one in inner for part in _parts(one))]


def _example(tokenizer: Tokenizer, text: str) -> str:
    """The beginning of a text with a mask in it."""
    texts, ids = piece_texts(tokenizer), tokenizer.encode(text)[:_LONGEST_TEXT]
    if not ids:
        return str(tokenizer.settings["mask_token"])
    written = [texts[one] for one in ids]
    begins = [not piece[:1].isalnum() for piece in [*written, " "]]
    whole = [at for at in range(len(ids)) if written[at].strip().isalpha() and begins[at] and begins[at + 1]]
    middle = whole[len(whole) // 2] if whole else len(ids) // 2
    written[middle] = f"{' ' * written[middle].startswith(' ')}{tokenizer.settings['mask_token']}"
    return "".join(written).strip()
