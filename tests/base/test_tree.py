"""Reading YAML with places, and the traps of YAML."""

import pytest

from afterbert.base.errors import UserError
from afterbert.base.tree import merge, override, parse, read, scalar


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "r.yaml:2: 'a' is written twice (first at r.yaml:1); keep one"),
        ("a:\n\tb: 1\n", "r.yaml:2: found character '\\t' that cannot start any token; indent with spaces, not tabs"),
        ("a: &x 1\nb: *x\n", "r.yaml:1: an alias (*name) is not allowed; write the value out"),
        ("a: 1\n---\nb: 2\n", "r.yaml:3: a second document begins; keep one per file"),
        ("a: !!python/object:os.system {}\n", None),
        ("a: !!binary aGk=\n", "r.yaml:1: the tag 'tag:yaml.org,2002:binary' is not allowed; write a plain value"),
        ("a: [1, 2\n", None),
    ],
)
def test_refusals_name_the_line(text, message):
    with pytest.raises(UserError) as refusal:
        parse(text, label="r.yaml")
    assert str(refusal.value).startswith("r.yaml:")
    assert "\n" not in str(refusal.value)
    if message:
        assert str(refusal.value) == message


def test_a_bomb_of_aliases_is_refused_quickly():
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    with pytest.raises(UserError, match="alias"):
        parse("\n".join(lines), label="r.yaml")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3e-4", 3e-4),
        ("1E5", 1e5),
        ("-2", -2),
        ("no", "no"),
        ("on", "on"),
        ("0x10", "0x10"),
        ("12:30:00", "12:30:00"),
        ("1.", 1.0),
    ],
)
def test_scalars_mean_what_people_mean(written, value):
    assert scalar(written) == value
    assert type(scalar(written)) is type(value)
    assert parse(f"a: {written}", label="r").plain == {"a": value}


def test_quotes_make_words():
    assert parse("a: '3e-4'", label="r").plain == {"a": "3e-4"}


def test_a_new_type_replaces_the_node_and_a_same_type_merges():
    base = parse("x: {type: p, u: 1, v: 2}", label="b")
    assert merge(base, parse("x: {type: p, u: 9}", label="o")).plain == {"x": {"type": "p", "u": 9, "v": 2}}
    assert merge(base, parse("x: {u: 9}", label="o")).plain == {"x": {"type": "p", "u": 9, "v": 2}}
    assert merge(base, parse("x: {type: q}", label="o")).plain == {"x": {"type": "q"}}


def test_overrides_reach_into_lists_and_bare_names():
    base = parse("edits: [{selection: fixed_count}, {selection: all}]\nmodel: {type: encoder, width: 3}", label="b")
    assert override(base, "edits.0.selection.rate", "0.3").plain["edits"][0] == {
        "selection": {"type": "fixed_count", "rate": 0.3}
    }
    assert override(base, "model", "decoder").plain["model"] == {"type": "decoder"}
    assert override(base, "model.type", "decoder").plain["model"] == {"type": "decoder"}
    with pytest.raises(UserError, match="there is no item 2; the list has 2"):
        override(base, "edits.2.selection", "all")


def test_files_that_are_no_recipes(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: caf\xe9\n")
    with pytest.raises(UserError, match="is not UTF-8 at byte 6"):
        read(tmp_path / "latin.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "absent.yaml")
    (tmp_path / "big.yaml").write_bytes(b"a" * 1_000_001)
    with pytest.raises(UserError, match="more than the 200,000"):
        read(tmp_path / "big.yaml")
    (tmp_path / "empty.yaml").write_bytes(b"")
    assert read(tmp_path / "empty.yaml").plain == {}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000 + "]" * 5000,
        "{a: " * 2000 + "1" + "}" * 2000,
        "\n".join(" " * level + "a:" for level in range(300)),
        "[" * 60 + "]" * 60,
    ],
)
def test_what_is_nested_too_deeply_is_one_line(text):
    with pytest.raises(UserError, match="is nested more than 50 levels deep") as error:
        parse(text, label="r.yaml")
    assert len(error.value.lines) == 1
    assert error.value.lines[0].startswith("r.yaml")


def test_a_path_of_many_parts_is_one_line():
    with pytest.raises(UserError, match="is nested more than 50 levels deep"):
        override(parse("a: 1", label="x"), ".".join("a" * 10_000), "1")


def test_a_number_of_thousands_of_digits_is_a_word():
    assert scalar("9" * 5000) == "9" * 5000
    assert scalar("0." + "9" * 5000) == "0." + "9" * 5000
