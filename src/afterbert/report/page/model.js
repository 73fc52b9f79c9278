"use strict";
// A tokenizer and an encoder's forward pass in plain typed arrays: no library, no network. Shapes are row by row.
const AfterBERT = (() => {
  // ---- Tokenizer: the parts of a tokenizer.json that `report/model_page.py` lets through.
  const pattern = (p, flags) => new RegExp(p.Regex ?? p.String.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), flags);
  const BERT_SPLITS = /[\p{P}$+<=>^`|~]/u, HAN = /[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;
  const GPT2 = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
  const BYTES = (() => {  // GPT-2's letters for bytes
    const seen = b => (b > 0x20 && b < 0x7f) || (b > 0xa0 && b < 0xad) || b > 0xad;
    let next = 0;
    return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(seen(b) ? b : 0x100 + next++));
  })();

  const NORMALIZERS = {
    Sequence: (n, text) => n.normalizers.reduce((t, one) => normalized(one, t), text),
    ...Object.fromEntries(["NFC", "NFD", "NFKC", "NFKD"].map(form => [form, (n, text) => text.normalize(form)])),
    Lowercase: (n, text) => text.toLowerCase(),
    StripAccents: (n, text) => text.replace(/\p{Mn}/gu, ""),
    Replace: (n, text) => text.replace(pattern(n.pattern, "gu"), () => n.content),
    Strip: (n, text) => text.replace(n.strip_left ? /^\s+/u : "", "").replace(n.strip_right ? /\s+$/u : "", ""),
    BertNormalizer: (n, text) => {
      if (n.clean_text) text = text.replace(/[\t\n\r]/g, " ").replace(/[\0\ufffd\p{C}]/gu, "").replace(/\s/gu, " ");
      if (n.handle_chinese_chars) text = text.replace(HAN, " $& ");
      if (n.strip_accents ?? n.lowercase) text = text.normalize("NFD").replace(/\p{Mn}/gu, "");
      return n.lowercase ? text.toLowerCase() : text;
    },
  };
  const normalized = (n, text) => n ? NORMALIZERS[n.type](n, text) : text;

  const isolated = (word, regex) => {
    const found = [];
    let at = 0;
    for (const match of word.matchAll(regex)) {
      if (match.index > at) found.push(word.slice(at, match.index));
      if (match[0]) found.push(match[0]);
      at = match.index + match[0].length;
    }
    return at < word.length ? [...found, word.slice(at)] : found;
  };
  const CUTTERS = {
    Sequence: (p, words, first) => p.pretokenizers.reduce((w, one) => cut(one, w, first), words),
    WhitespaceSplit: (p, words) => words.flatMap(w => w.split(/\s+/u).filter(Boolean)),
    Split: (p, words) => words.flatMap(w => isolated(w, pattern(p.pattern, "gu"))),
    BertPreTokenizer: (p, words) => words.flatMap(w => w.split(/\s+/u).filter(Boolean))
      .flatMap(w => isolated(w, new RegExp(BERT_SPLITS, "gu"))),
    ByteLevel: (p, words) => words.map(w => p.add_prefix_space && !/^\s/u.test(w) ? " " + w : w)
      .flatMap(w => p.use_regex === false ? [w] : w.match(GPT2) ?? [])
      .map(w => Array.from(new TextEncoder().encode(w), b => BYTES[b]).join("")),
    Metaspace: (p, words, first) => words.flatMap(w => {
      w = w.replaceAll(" ", p.replacement);
      const leads = p.prepend_scheme === "always" || (p.prepend_scheme === "first" && first);
      if (leads && !w.startsWith(p.replacement)) w = p.replacement + w;
      return p.split === false ? [w] : w.split(new RegExp(`(?=${p.replacement})`, "u"));
    }),
  };
  const cut = (p, words, first) => p ? CUTTERS[p.type](p, words, first) : words;

  const MODELS = {
    WordPiece: m => word => {
      const letters = Array.from(word), found = [], prefix = m.continuing_subword_prefix;
      if (letters.length > m.max_input_chars_per_word) return [m.ids.get(m.unk_token)];
      for (let at = 0, end; at < letters.length; at = end) {
        const named = () => m.ids.get((at ? prefix : "") + letters.slice(at, end).join(""));
        for (end = letters.length; end > at && named() === undefined;) end--;
        if (end === at) return [m.ids.get(m.unk_token)];
        found.push(named());
      }
      return found;
    },
    BPE: m => {
      const ranks = new Map(m.merges.map((pair, i) => [Array.isArray(pair) ? pair.join(" ") : pair, i]));
      const spelled = letter => {
        if (m.ids.has(letter)) return [letter];
        const bytes = Array.from(new TextEncoder().encode(letter), b => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
        return m.byte_fallback && bytes.every(b => m.ids.has(b)) ? bytes : m.unk_token ? [m.unk_token] : [];
      };
      return word => {
        const parts = Array.from(word).flatMap(spelled);
        for (;;) {
          let best = Infinity, at = -1;
          for (let i = 0; i + 1 < parts.length; i++) {
            const rank = ranks.get(parts[i] + " " + parts[i + 1]);
            if (rank < best) [best, at] = [rank, i];
          }
          if (at < 0) return parts.map(part => m.ids.get(part));
          parts.splice(at, 2, parts[at] + parts[at + 1]);
        }
      };
    },
    Unigram: m => {
      const longest = Math.max(...Array.from(m.ids.keys(), piece => Array.from(piece).length));
      const unknown = m.scores.reduce((a, b) => Math.min(a, b)) - 10;
      return word => {
        const letters = Array.from(word), best = [[0, -1, -1]];  // score, where the piece begins, its id
        for (let end = 1; end <= letters.length; end++) {
          best[end] = [-Infinity, 0, 0];
          for (let at = Math.max(0, end - longest); at < end; at++) {
            const id = m.ids.get(letters.slice(at, end).join(""));
            if (id === undefined && at < end - 1) continue;
            const score = best[at][0] + (id === undefined ? unknown : m.scores[id]);
            if (score > best[end][0]) best[end] = [score, at, id ?? m.unk_id];
          }
        }
        const found = [];
        for (let at = letters.length; at > 0; at = best[at][1])
          if (best[at][2] !== m.unk_id || found[0] !== m.unk_id) found.unshift(best[at][2]);  // unknown ones are fused
        return found;
      };
    },
  };

  function tokenizer(told) {
    const model = { ...told.model, ids: new Map(told.model.pieces.flatMap((piece, id) => piece === null ? [] : [[piece, id]])) };
    const cutWord = MODELS[model.type](model), known = new Map();
    const pieces = word => known.get(word) ?? known.set(word, cutWord(word)).get(word);
    const added = new Map(told.added.map(one => [one.content, one]));
    const names = [...added.keys()].sort((a, b) => b.length - a.length);
    const special = new RegExp(`(${names.map(n => n.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "u");
    return text => {
      const found = [], parts = text.split(special);
      parts.forEach((part, i) => {
        if (i % 2) return void found.push(added.get(part).id);
        if (added.get(parts[i + 1])?.lstrip) part = part.replace(/\s+$/u, "");
        if (added.get(parts[i - 1])?.rstrip) part = part.replace(/^\s+/u, "");
        const first = parts.slice(0, i).every(before => !before);
        if (part) for (const word of cut(told.pre_tokenizer, [normalized(told.normalizer, part)].filter(Boolean), first))
          found.push(...pieces(word));
      });
      return found;
    };
  }

  // ---- Model.
  // Tensors as floats again: each run of `group` numbers of a row has one scale.
  function unpacked(buffer, tensors, group) {
    const found = {};
    for (const { name, shape, scales, at } of tensors) {
      const [rows, cols] = shape.length > 1 ? shape : [1, shape[0]];
      if (scales === undefined) { found[name] = new Float32Array(buffer, at, rows * cols); continue; }
      const codes = new Int8Array(buffer, at, rows * cols), groups = Math.ceil(cols / group);
      const scale = new Float32Array(buffer, scales, rows * groups), out = new Float32Array(rows * cols);
      for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < cols; c++, i++)
        out[i] = codes[i] * scale[r * groups + ((c / group) | 0)];
      found[name] = out;
    }
    return found;
  }

  function linear(x, weight, bias, cols) {
    const n = x.length / cols, rows = weight.length / cols, out = new Float32Array(n * rows);
    for (let r = 0, w = 0; r < rows; r++, w += cols) {
      for (let i = 0, at = 0; i < n; i++, at += cols) {
        let s0 = bias ? bias[r] : 0, s1 = 0, s2 = 0, s3 = 0, c = 0;
        for (; c + 3 < cols; c += 4) {
          s0 += x[at + c] * weight[w + c]; s1 += x[at + c + 1] * weight[w + c + 1];
          s2 += x[at + c + 2] * weight[w + c + 2]; s3 += x[at + c + 3] * weight[w + c + 3];
        }
        for (; c < cols; c++) s0 += x[at + c] * weight[w + c];
        out[i * rows + r] = s0 + s1 + s2 + s3;
      }
    }
    return out;
  }

  const erf = x => {  // Abramowitz and Stegun 7.1.26
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const y = 1 - ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x);
    return x < 0 ? -y : y;
  };
  const ACTIVATIONS = {
    gelu: x => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    gelu_new: x => 0.5 * x * (1 + Math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))),
    relu: x => Math.max(0, x), silu: x => x / (1 + Math.exp(-x)), tanh: Math.tanh,
  };

  function softmax(x) {
    const top = x.reduce((a, b) => Math.max(a, b));
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += x[i] = Math.exp(x[i] - top);
    for (let i = 0; i < x.length; i++) x[i] /= sum;
    return x;
  }

  function model(told, buffer) {
    const w = unpacked(buffer, told.tensors, told.group), width = told.heads * told.head_size;
    const activate = ACTIVATIONS[told.activation];
    const norm = (x, name, size) => {  // an absent norm is none
      const weight = w[name + ".weight"], bias = w[name + ".bias"], out = new Float32Array(x.length);
      if (!weight) return x;
      for (let at = 0; at < x.length; at += size) {
        let mean = 0, square = 0;
        for (let c = 0; c < size; c++) mean += x[at + c];
        mean /= size;
        for (let c = 0; c < size; c++) square += (x[at + c] - mean) ** 2;
        const root = 1 / Math.sqrt(square / size + told.eps);
        for (let c = 0; c < size; c++) out[at + c] = (x[at + c] - mean) * root * weight[c] + (bias ? bias[c] : 0);
      }
      return out;
    };
    const layer = (x, name, cols) => linear(x, w[name + ".weight"], w[name + ".bias"], cols);
    const part = (x, name, inner) => {
      const read = told.pre_norm ? norm(x, name + ".norm", told.hidden) : x, made = inner(read, name + ".inner");
      const out = x.map((value, i) => value + made[i]);
      return told.pre_norm ? out : norm(out, name + ".norm", told.hidden);
    };

    const embedded = ids => {
      const size = told.embedding, vectors = new Float32Array(ids.length * size);
      const [token, place, segment] = ["token", "position", "segment"].map(name => w[`embeddings.${name}.weight`]);
      for (let i = 0; i < vectors.length; i++)
        vectors[i] = token[ids[(i / size) | 0] * size + i % size] * told.embedding_scale + (place?.[i] ?? 0) + (segment?.[i % size] ?? 0);
      const x = norm(vectors, "embeddings.norm", size);
      return w["embeddings.widen.weight"] ? layer(x, "embeddings.widen", size) : x;
    };
    const turn = (x, at, place) => {
      const half = told.head_size / 2;
      for (let i = 0; i < half; i++) {
        const angle = place / told.rotary ** (2 * i / told.head_size), cos = Math.cos(angle), sin = Math.sin(angle);
        const left = x[at + i], right = x[at + half + i];
        x[at + i] = left * cos - right * sin;
        x[at + half + i] = right * cos + left * sin;
      }
    };
    const attend = keep => (x, name) => {
      const packed = layer(x, name + ".qkv", told.hidden), n = x.length / told.hidden, K = told.head_size;
      const mixed = new Float32Array(n * width), weights = new Float32Array(told.heads * n * n);
      if (told.rotary) for (let i = 0; i < n; i++) for (let h = 0; h < told.heads; h++) {
        turn(packed, i * 3 * width + h * K, i);
        turn(packed, i * 3 * width + width + h * K, i);
      }
      for (let h = 0; h < told.heads; h++) for (let i = 0; i < n; i++) {
        const q = i * 3 * width + h * K, row = (h * n + i) * n;
        for (let j = 0; j < n; j++) {
          const k = j * 3 * width + width + h * K;
          for (let c = 0; c < K; c++) weights[row + j] += packed[q + c] * packed[k + c] * told.scale;
        }
        softmax(weights.subarray(row, row + n));
        for (let j = 0; j < n; j++) {
          const v = j * 3 * width + 2 * width + h * K, share = weights[row + j];
          for (let c = 0; c < K; c++) mixed[i * width + h * K + c] += share * packed[v + c];
        }
      }
      keep.push(weights);
      return layer(mixed, name + ".output", width);
    };
    const feed = (x, name) => {
      const inner = layer(x, name + ".input", told.hidden), size = told.intermediate;
      if (!told.gated) return layer(inner.map(activate), name + ".output", size);
      const gated = new Float32Array(inner.length / 2);
      for (let i = 0; i < gated.length; i++) {
        const at = i + ((i / size) | 0) * size;
        gated[i] = activate(inner[at]) * inner[at + size];
      }
      return layer(gated, name + ".output", size);
    };
    const chances = states => {  // of one place
      let x = norm(part(states, "stack.feed_forward." + told.feed_forward.at(-1), feed), "stack.final_norm", told.hidden);
      if (w["lm_head.transform.dense.weight"]) {
        const dense = layer(x, "lm_head.transform.dense", told.hidden).map(ACTIVATIONS[told.head_activation]);
        x = norm(dense, "lm_head.transform.norm", dense.length);
      }
      const table = w["lm_head.decoder.weight"] ?? w["embeddings.token.weight"];
      return softmax(linear(x, table, w["lm_head.bias"], x.length));
    };
    // ids -> { attention: per layer heads x T x T, chances(places): Float32Array [V] for each }
    return ids => {  // behind the last attention only the places asked for are computed
      const attention = [], attends = attend(attention);
      let x = embedded(ids);
      told.attention.forEach((a, i) => {
        if (i) x = part(x, "stack.feed_forward." + told.feed_forward[i - 1], feed);
        x = part(x, "stack.attention." + a, attends);
      });
      return { attention, chances: places => places.map(p => chances(x.slice(p * told.hidden, (p + 1) * told.hidden))) };
    };
  }

  // The whole: told is the page's JSON, buffer the weights.
  function load(told, buffer) {
    const encode = tokenizer(told.tokenizer), run = model(told.model, buffer);
    const { mask, mask_token: name, before, behind } = told.tokenizer;
    const framed = ids => [...before, ...ids.slice(0, told.model.longest - before.length - behind.length), ...behind];
    const top = (shares, count) => Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a]).slice(0, count)
      .map(id => ({ id, text: told.texts[id], share: shares[id] }));
    // text with masks -> { ids, attention, masks: [[{ id, text, share }]] }, the likeliest first
    const fill = (text, count = 5) => {
      const ids = framed(encode(text.replaceAll("[MASK]", name).replaceAll("<mask>", name)));
      const places = ids.flatMap((id, i) => id === mask ? [i] : []), done = run(ids);
      return { ids, attention: done.attention, places, masks: done.chances(places).map(shares => top(shares, count)) };
    };
    return { encode, framed, fill, run, told };
  }
  return { load };
})();
if (typeof module !== "undefined") module.exports = AfterBERT;
