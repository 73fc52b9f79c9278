"use strict";
// What the page of a model and `afterbert play` draw alike: elements, bars, marked text, attention.
const View = (() => {
  const element = (tag, set = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), set);
    made.append(...children);
    return made;
  };
  const bars = guesses => element("div", { className: "bars" }, ...guesses.flatMap(({ text, share }) => {
    const bar = element("i");
    bar.style.width = `${100 * share}%`;
    return [
      element("span", { className: "name", textContent: text.trim() || "␣" }), element("span", { className: "track" }, bar),
      element("span", { className: "figure", textContent: `${(100 * share).toFixed(1)}%` }),
    ];
  }));
  // cells: { text, action, truth }; the classes are those of the report.
  const marked = cells => element("p", { className: "text", dir: "auto" }, ...cells.flatMap(({ text, action = "", truth }) => {
    const space = text.startsWith(" ") || truth?.startsWith(" ") ? [" "] : [];
    if (!action) return [...space, text.trim() || text];
    const mark = element("span", { className: action === "special" ? action : `mark ${action}` }, text.trim() || text);
    if (truth !== undefined && truth !== text) mark.append(element("small", { textContent: truth.trim() || "nothing" }));
    return [...space, mark];
  }));
  // Pieces one can point at or step through: the others are shaded by how much the chosen one attends to them.
  // texts: T strings; weights: T x T numbers, row by row; the choice outlives a new sentence.
  const attention = (host, texts, weights) => {
    const n = texts.length, chosen = Math.min(Number(host.dataset.chosen ?? 1), n - 1), NS = "http://www.w3.org/2000/svg";
    const words = texts.map((text, i) => element("button", { type: "button", textContent: text.trim() || "␣", className: "piece" }));
    const show = at => {
      host.dataset.chosen = at;
      words.forEach((word, j) => {
        const share = weights[at * n + j];
        word.style.setProperty("--share", `${Math.round(60 * Math.sqrt(share))}%`);
        word.title = `${texts[at].trim()} → ${texts[j].trim()}: ${(100 * share).toFixed(1)}%`;
        word.setAttribute("aria-pressed", j === at);
      });
    };
    words.forEach((word, i) => ["focus", "mouseenter", "click"].forEach(kind => word.addEventListener(kind, () => show(i))));
    const square = document.createElementNS(NS, "svg");
    square.setAttribute("viewBox", `0 0 ${n} ${n}`);
    square.setAttribute("class", "sight");
    square.setAttribute("role", "img");
    square.setAttribute("aria-label", "line by line, whom each piece attends to");
    for (let i = 0; i < n * n; i++) if (weights[i] > 0.004) {
      const cell = document.createElementNS(NS, "path");
      cell.setAttribute("d", `M${i % n} ${Math.floor(i / n)}h1v1h-1z`);
      cell.setAttribute("fill-opacity", Math.sqrt(weights[i]).toFixed(2));
      square.append(cell);
    }
    host.replaceChildren(element("div", { className: "task" }, element("p", { className: "pieces", dir: "auto" }, ...words), square));
    show(chosen);
  };
  const options = (select, count, name) => {
    if (select.options.length === count) return;
    select.replaceChildren(...Array.from({ length: count }, (_, i) => element("option", { value: i, textContent: `${name} ${i + 1}` })));
    select.value = count - 1;
  };
  return { element, bars, marked, attention, options };
})();
