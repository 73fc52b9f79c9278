"use strict";
// The playground: asks the server on this machine, and draws what comes back.
(() => {
  const at = id => document.getElementById(id), all = (where, what) => [...where.querySelectorAll(what)];
  const ask = async (path, body, signal) => {
    const got = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
    const said = await got.json();
    if (!got.ok) throw new Error(said.error);
    return said;
  };
  // Runs `work(signal)` a moment after the last call; an earlier one that still runs is given up.
  const settled = (work, wait = 350) => {
    let timer, going = new AbortController();
    return () => {
      clearTimeout(timer);
      going.abort();
      going = new AbortController();
      const { signal } = going;
      timer = setTimeout(() => work(signal).catch(error => { if (error.name !== "AbortError") throw error; }), wait);
    };
  };
  const told = (node, error) => {
    if (error.name === "AbortError") throw error;
    node.replaceChildren(View.element("p", { className: "quiet small", textContent: error.message }));
  };

  const says = { seed: value => value, rate: value => +value ? `${value}%` : "as the recipe says", span: value => +value || "as the recipe says" };
  const ideas = settled(async signal => {
    const asked = { text: at("text").value, seed: +at("seed").value };
    if (+at("rate").value) asked.rate = at("rate").value / 100;
    if (+at("span").value) asked.span = +at("span").value;
    if (at("unit").value) asked.unit = at("unit").value;
    for (const article of all(document, "[data-recipe]")) {
      const drawn = article.querySelector(".drawn");
      try {
        drawn.innerHTML = (await ask("idea", { ...asked, recipe: article.dataset.recipe }, signal)).html;  // escaped by the server
      } catch (error) { told(drawn, error); }
    }
    document.body.dataset.drawn = "all";
  });
  const spoken = () => Object.entries(says).forEach(([id, say]) => { at(id).nextElementSibling.textContent = ` ${say(at(id).value)}`; });
  ["text", "seed", "rate", "span", "unit"].forEach(id => at(id).addEventListener("input", () => { spoken(); ideas(); }));
  spoken();
  ideas();

  all(document, ".side").forEach(side => {
    const of = name => side.querySelector(`.${name}`);
    let seen;
    const draw = () => seen && View.attention(of("looks"), seen.pieces, seen.weights[of("head").value] ?? seen.weights[0]);
    const look = settled(async signal => {
      const layer = of("layer").value, asked = { text: at("gap").value, model: +of("model").value };
      if (layer !== "") asked.layer = +layer;
      try {
        seen = await ask("look", asked, signal);
        of("note").textContent = seen.note;
        of("gaps-of").replaceChildren(...seen.masks.map(View.bars));
        View.options(of("layer"), seen.layers, "layer");
        View.options(of("head"), seen.weights.length, "head");
        draw();
      } catch (error) { told(of("gaps-of"), error); }
    });
    const near = settled(async signal => {
      const texts = at("lines").value.split("\n").map(line => line.trim()).filter(Boolean);
      try {
        of("neighbours").replaceChildren(View.bars((await ask("near", { texts, model: +of("model").value }, signal)).near));
      } catch (error) { told(of("neighbours"), error); }
    });
    at("gap").addEventListener("input", look);
    of("layer").addEventListener("change", look);
    of("head").addEventListener("change", draw);
    at("lines").addEventListener("input", near);
    of("model").addEventListener("change", () => { of("layer").replaceChildren(); look(); near(); });
    look();
    near();
  });

  const live = async () => {
    try {
      const got = await fetch("runs");
      if (got.ok) at("live").innerHTML = await got.text();
    } finally { setTimeout(live, document.hidden ? 30000 : 5000); }
  };
  live();
})();
