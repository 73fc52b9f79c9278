"""A stored recipe read back: every value with the origin that its comment tells."""

from __future__ import annotations

from afterbert.report.run_record import read_recipe


def test_origins_of_a_resolved_recipe(tmp_path):
    from afterbert.recipes.recipe import resolve

    resolved = resolve("laptop", size="mini", overrides=[("model.hidden_size", "192"), ("title", "A # sign")])
    path = tmp_path / "recipe.yaml"
    path.write_text(resolved.text())
    found = {value.path: value for value in read_recipe(path) if value.is_leaf}
    expected = resolved.origins()
    for name, value in found.items():
        if value.value is not None and value.value != []:
            # `positions: rotary` is short for `positions: {type: rotary}`.
            short = expected.get(name.removesuffix(".type"), "default")
            assert value.origin == expected.get(name, short), name
    assert (found["model.hidden_size"].value, found["model.hidden_size"].chooser) == (192, "command line")
    assert (found["title"].value, found["title"].origin) == ("A # sign", "--title")
    assert found["model.num_hidden_layers"].chooser == "size"
    assert found["length"].chooser == "recipe"
    assert "default" in {value.chooser for value in found.values()}


def test_without_origins_every_value_is_still_there(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("a: {b: 1, c: [x, y]}\nd: null\n")
    values = read_recipe(path)
    assert [(v.path, v.value) for v in values if v.is_leaf] == [("a.b", 1), ("a.c.0", "x"), ("a.c.1", "y"), ("d", None)]
    assert {v.origin for v in values} == {""}
