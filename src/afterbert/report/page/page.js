"use strict";
// The page: what is typed is filled in, looked at and spoilt by the tasks, all here.
(() => {
  const at = id => document.getElementById(id), started = performance.now();
  const written = atob(at("weights").textContent.trim()), bytes = new Uint8Array(written.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = written.charCodeAt(i);
  const model = AfterBERT.load(JSON.parse(at("model").textContent), bytes.buffer), told = model.told;
  const asked = new URLSearchParams(location.hash.slice(1)).get("text");  // a sentence to begin with: model.html#text=...
  if (asked) at("text").value = asked;
  for (let i = 0; i < 3; i++) model.fill(at("text").value);  // so that the browser has compiled it before anybody waits
  document.body.dataset.loaded = (performance.now() - started).toFixed(1);
  let last;

  const gap = (guesses, i, all) => View.element("div", {},
    View.element("h3", { textContent: all.length > 1 ? `Gap ${i + 1}` : "" }), View.bars(guesses));
  function answer() {
    const begun = performance.now();
    last = model.fill(at("text").value);
    const spent = performance.now() - begun;
    at("gaps").replaceChildren(...last.masks.map(gap));
    at("gaps").dataset.top = JSON.stringify(last.masks.map(one => one.map(({ id }) => id)));
    at("spent").dataset.milliseconds = spent.toFixed(1);
    at("spent").textContent = last.masks.length ? `answered in ${spent < 10 ? spent.toFixed(1) : spent.toFixed(0)} ms`
      : `write ${told.tokenizer.mask_token} where a word is missing`;
    View.options(at("layer"), last.attention.length, "layer");
    View.options(at("head"), told.model.heads, "head");
    look();
    spoil();
  }
  function look() {
    const n = last.ids.length, from = at("head").value * n * n;
    View.attention(at("looks"), last.ids.map(id => told.texts[id]), last.attention[at("layer").value].subarray(from, from + n * n));
  }

  // A small set of the tasks, on what is typed. The laws are those of `pretext/`, the draws are the page's own.
  function tasks(ids, seed) {
    let state = seed + 1;
    const draw = () => {  // mulberry32
      let t = state += 0x6d2b79f5;
      t = Math.imul(t ^ (t >>> 15), t | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const texts = ids.map(id => told.texts[id]), n = ids.length;
    const begins = texts.map((text, i) => !i || text.startsWith(" ") || !/[\p{L}\p{M}\p{N}]$/u.test(texts[i - 1]) || !/^[\p{L}\p{M}\p{N}]/u.test(text));
    const words = begins.flatMap((begin, i) => begin ? [i] : []).map((from, k, all) => [from, all[k + 1] ?? n]);
    const single = texts.map((_, i) => [i, i + 1]);
    const chosen = (units, rate, length = () => 1) => {  // spans of units, apart, until the share is reached
      const taken = new Array(n).fill(0), spans = [];
      for (let tries = 0, left = Math.max(1, Math.round(rate * n)); left > 0 && tries < 200; tries++) {
        const first = Math.floor(draw() * units.length), size = Math.min(length(), units.length - first);
        const [from, to] = [units[first][0], units[first + size - 1][1]];
        if (taken.slice(Math.max(0, from - 1), to + 1).some(Boolean) || to - from > Math.max(left, 2)) continue;
        taken.fill(1, from, to);
        spans.push([from, to]);
        left -= to - from;
      }
      return spans.sort((a, b) => a[0] - b[0]);
    };
    const geometric = () => { let k = 1; while (k < 10 && draw() > 0.2) k++; return k; };
    const apply = (spans, change) => {
      const cells = [];
      for (let i = 0; i < n; i++) {
        const span = spans.find(([from]) => from === i);
        if (!span) { cells.push({ text: texts[i] }); continue; }
        cells.push(...change(span));
        i = span[1] - 1;
      }
      return cells;
    };
    const each = make => ([from, to]) => texts.slice(from, to).map((text, k) => make(text, from + k));
    const mask = told.tokenizer.mask_token, hide = each(truth => ({ text: mask, action: "mask", truth }));
    const anyPiece = () => told.ordinary[Math.floor(draw() * told.ordinary.length)], found = [];
    const add = (name, why, cells, writes) => found.push({ name, why, cells, writes });
    add("Pieces hidden", "BERT: of 15% of the pieces eight in ten are hidden, one becomes another piece, one stays.",
      apply(chosen(single, 0.15), each(truth => {
        const u = draw();
        return u < 0.8 ? { text: mask, action: "mask", truth } : u < 0.9 ? { text: told.texts[anyPiece()], action: "random", truth } : { text: truth, action: "keep" };
      })));
    add("Whole words hidden", "BERT-wwm: all pieces of a word at once, so none betrays the others.", apply(chosen(words, 0.15), hide));
    add("Spans hidden", "SpanBERT: some words in a row; long stretches are rare.", apply(chosen(words, 0.15, geometric), hide));
    const infilled = chosen(words, 0.3, geometric);
    add("One mark for a span", "BART: how many words are missing is not told; the whole text is asked.",
      apply(infilled, ([from, to]) => [{ text: mask, action: "mask", truth: texts.slice(from, to).join("") }]));
    let number = 0;
    const marks = chosen(single, 0.15, () => 3), named = () => `<${"XYZUVW"[number++ % 6]}>`;
    const cells = apply(marks, ([from, to]) => [{ text: ` ${named()}`, action: "mask", truth: texts.slice(from, to).join("") }]);
    add("Spans asked for by name", "T5: each span leaves a mark, and only the spans are written.", cells,
      cells.filter(c => c.action).flatMap(c => [{ text: c.text, action: "special" }, { text: c.truth }]));
    add("Pieces left out", "BART: where something is missing is not told either.", apply(chosen(single, 0.15), each(text => ({ text, action: "removed" }))));
    const gone = chosen(single, 0.15), holes = gone.map(([from]) => from);
    const asked = model.run(model.framed(ids.map((id, i) => holes.includes(i) ? told.tokenizer.mask : id)));
    const filled = asked.chances(holes.map(place => place + told.tokenizer.before.length));
    add("Pieces replaced", "ELECTRA: a small model (here this one) puts likely pieces in; of every piece it is asked whether it is the original.",
      apply(gone, each((truth, i) => {
        let u = draw(), id = 0;
        const shares = filled[holes.indexOf(i)];
        while (id + 1 < shares.length && (u -= shares[id]) > 0) id++;
        return id === ids[i] ? { text: truth, action: "keep" } : { text: told.texts[id], action: "random", truth };
      })));
    return found;
  }
  function spoil() {
    const full = last.ids.slice();  // each gap as the model would fill it
    last.places.forEach((place, i) => { full[place] = last.masks[i][0].id; });
    const ids = full.slice(told.tokenizer.before.length, full.length - told.tokenizer.behind.length);
    at("spoilt").replaceChildren(...(ids.length < 4 ? [] : tasks(ids, Number(at("seed").value))).map(({ name, why, cells, writes }) =>
      View.element("article", { className: "exhibit" }, View.element("h3", { textContent: name }),
        View.element("p", { className: "quiet small", textContent: why }), View.marked(cells),
        ...(writes ? [View.element("p", { className: "quiet small", textContent: "writes" }), View.marked(writes)] : []))));
  }

  at("text").addEventListener("input", answer);
  at("layer").addEventListener("change", look);
  at("head").addEventListener("change", look);
  at("seed").addEventListener("input", spoil);
  answer();
})();
