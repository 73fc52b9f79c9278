"""Every study that comes along runs at scale smoke; nothing runs twice; a signal costs nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from invented import PLACES, sentence, write_task, write_texts, write_transfer

from afterbert.base.errors import UserError
from afterbert.cli.main import run as command
from afterbert.report.study_pages import write_study_page
from afterbert.study import plan, results, running
from afterbert.study.design import known_studies, read_study
from afterbert.study.engines import Engine
from afterbert.study.plan import planned
from afterbert.study.progress import progress_of
from afterbert.study.request import StudyRequest
from afterbert.study.results import read_results
from afterbert.study.running import run_study
from afterbert.training.guards import Diverged

TWO = """\
question: Is a rate of 40% better than one of 15%?
claims: [11]
arms:
  low: {set: {masking.rate: 0.15}}
  high: {set: {masking.rate: 0.4}}
measures: [missing_word, masked_accuracy]
decision: {measure: missing_word, smallest: 0.01}
expects: [high > low]
"""


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """Where runs of all tests here are made, so that they are shared."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def two(tmp_path) -> str:
    (tmp_path / "two.yaml").write_text(TWO)
    return str(tmp_path / "two.yaml")


def with_phrases(texts: Path) -> Path:
    """A store that knows some phrases."""
    store, phrases = texts.parent / "with-phrases", texts.parent / "phrases.txt"
    phrases.write_text("\n".join([*PLACES, "grey horse", "small boat"]) + "\n")
    if not store.exists():
        assert command(["prepare", str(texts), "--phrases", str(phrases), "--out", str(store)]) == 0
    return store


def mirrored(texts: Path) -> Path:
    """A store that tells its language as two."""
    store = texts.parent / "mirrored"
    if not store.exists():
        told = ["--language", "en,en-mirror", "--held-out", "0.2"]
        assert command(["prepare", str(texts), *told, "--vocab-size", "300", "--out", str(store)]) == 0
    return store


def translated(texts: Path) -> tuple[Path, Path]:
    """A store of two languages with translations, and a table of others: the second is the first, word for word."""
    store, pairs = texts.parent / "translated", texts.parent / "pairs.tsv"
    draw = random.Random(3)
    lines = [f"{one}\t{one.lower().translate(str.maketrans('aeiou', 'äëïöü'))}\n" for one in map(sentence, [draw] * 90)]
    for path, some in ((pairs, lines[:30]), (texts.parent / "trained.tsv", lines[30:])):
        path.write_text("".join(some), encoding="utf-8")
    if not store.exists():
        named = ["--lang", f"en={texts}", "--lang", f"en+de={texts.parent / 'trained.tsv'}"]
        assert command(["prepare", *named, "--held-out", "0.2", "--vocab-size", "300", "--out", str(store)]) == 0
    return store, pairs


def switched(texts: Path) -> Path:
    """The same store, some words of its first language in the second."""
    words, store = texts.parent / "words.tsv", texts.parent / "switched"
    words.write_text("boat\tböät\nhorse\thörsë\n", encoding="utf-8")
    if not store.exists():
        named = ["--lang", f"en={texts}", "--lang", f"en+de={texts.parent / 'trained.tsv'}", "--switch", f"en={words}"]
        assert command(["prepare", *named, "--held-out", "0.2", "--vocab-size", "300", "--out", str(store)]) == 0
    return store


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", known_studies())
def test_each_study_runs_at_scale_smoke(name, texts, shared):
    _, study = read_study(name)
    named = (str(with_phrases(texts) if "phrase" in study.needs_planes else texts),)
    if "mirror" in name:
        named = (str(mirrored(texts)),)
    parallel: tuple[str, ...] = ()
    if study.needs_translations or {"each_language", "transfer"} & {*study.measures}:
        store, pairs = translated(texts)
        named, parallel = (str(store),), (str(pairs),) if study.needs_translations else ()
    if study.texts:
        named = (f"plain={store}", f"anchored={switched(texts)}")
    boats, horses = f"boats:{write_transfer(texts.parent / 'boats')}", f"horses:{write_task(texts.parent)}"
    tasks = (boats,) if study.needs_tasks else ()
    if any(arm.finetune.strategy for arm in study.arms.values()):
        tasks = (boats, horses)
    if any("quantize" in arm.compress for arm in study.arms.values()):
        pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    done = run_study(
        planned(StudyRequest(name, named, scale="smoke", out=shared, tasks=tasks, parallel=parallel, seeds=1))
    )
    found = read_results(done.folder / "results.json")
    assert found == done.results
    assert set(found.arms) == set(study.arms)
    assert found.measure in found.measures, "the deciding measure was asked of no arm"
    assert set(found.measures[found.measure].means) == set(study.arms)
    assert len(found.judged) == len(study.expectations)


def test_finished_runs_are_read_and_shared_with_other_studies(two, texts, tmp_path, monkeypatch):
    request = StudyRequest(two, (str(texts),), scale="smoke", out=tmp_path / "runs")
    first = run_study(planned(request))
    monkeypatch.setattr(running, "pretrain", None)
    again = run_study(planned(request))
    assert again.results == first.results
    assert first.results.settings["length"] == "32"
    (tmp_path / "other.yaml").write_text(TWO.replace("high > low", "low > high").replace("Is a", "Why is a"))
    other = run_study(planned(replace(request, study=str(tmp_path / "other.yaml"))))
    assert other.folder != first.folder
    assert other.results.judged[0].difference.estimate == -first.results.judged[0].difference.estimate
    (progress,) = progress_of(tmp_path / "runs", "two")
    assert (progress.runs, progress.finished, progress.share, progress.has_results) == (4, 4, 1.0, True)


def test_a_signal_stops_a_study_and_the_same_call_goes_on(two, texts, tmp_path, monkeypatch):
    request = StudyRequest(two, (str(texts),), scale="smoke", out=tmp_path / "runs")
    honest, calls = running.pretrain, []

    def stops_at_the_third(*given, **more):
        done = honest(*given, **more)
        calls.append(done)
        if len(calls) == 3:
            return replace(done, outcome=replace(done.outcome, state="preempted", signal=15))
        return done

    monkeypatch.setattr(running, "pretrain", stops_at_the_third)
    stopped = run_study(planned(request))
    assert (stopped.results, stopped.exit_code) == (None, 143)
    done = run_study(planned(request))
    assert done.results is not None
    assert len(calls) == 4


def test_each_arm_finds_its_learning_rate(texts, tmp_path):
    (tmp_path / "searched.yaml").write_text(TWO + "search: [0.01, 1]\n")
    request = StudyRequest(str(tmp_path / "searched.yaml"), (str(texts),), scale="smoke", out=tmp_path / "runs")
    plan = planned(request)
    assert len(plan.searches) == 4
    done = run_study(plan)
    rates = [arm.learning_rate for arm in done.results.arms.values()]
    assert all(rate in (pytest.approx(3e-5), pytest.approx(3e-3)) for rate in rates)
    assert done.results.searched


def test_an_arm_that_diverges_has_no_figure_and_the_others_have_theirs(texts, tmp_path, monkeypatch):
    (tmp_path / "wild.yaml").write_text(TWO + "search: [1, 10]\n")
    honest = running.pretrain

    def diverges(resolved, *given, **more):
        training, (edit,) = resolved.recipe.training, resolved.recipe.objective.pretext.edits
        if edit.selection.rate == 0.4 or training.optimizer.learning_rate > 0.01:
            raise Diverged("step 3: the loss is nan")
        return honest(resolved, *given, **more)

    monkeypatch.setattr(running, "pretrain", diverges)
    request = StudyRequest(str(tmp_path / "wild.yaml"), (str(texts),), scale="smoke", out=tmp_path / "runs", seeds=1)
    done = run_study(planned(request))
    assert done.results == read_results(done.folder / "results.json")
    assert done.results.arms["low"].learning_rate == pytest.approx(3e-3)
    assert set(done.results.measures["missing_word"].means) == {"low"}
    (one,) = done.results.judged
    assert (one.says, one.difference.estimate, one.verdict) == ("high > low", None, done.results.verdict)
    assert done.results.verdict == "not separable at this scale"
    assert done.results.notes == ["high, seed 0: step 3: the loss is nan."]
    assert "an arm has no figure" in write_study_page(done.folder).read_text()

    class Asked(Engine):
        def __call__(self, commands, *, folder, observer, look=None):
            assert [running.run_one(planned(request), command[-1]) for command in commands] == [0] * len(commands)
            return True

    class Idle(Engine):
        def __call__(self, commands, *, folder, observer, look=None):
            raise AssertionError(f"given {commands}")

    first = run_study(planned(request), engine=Asked())
    assert run_study(planned(request), engine=Idle()).results == first.results, "what diverged is not given again"


def test_a_store_has_pieces_of_its_own(texts, tmp_path):
    low, high = "tokenizer.vocab_size: 300", "tokenizer.vocab_size: 400"
    (tmp_path / "pieces.yaml").write_text(TWO.replace("masking.rate: 0.15", low).replace("masking.rate: 0.4", high))
    request = StudyRequest(str(tmp_path / "pieces.yaml"), (str(with_phrases(texts)),), scale="smoke", out=tmp_path)
    with pytest.raises(UserError, match="arm high differs from low in its tokenizer alone, but .* is a store"):
        planned(request)


def test_a_text_that_no_arm_reads_is_refused(texts, tmp_path):
    (tmp_path / "texts.yaml").write_text(
        TWO.replace("low: {", "low: {text: a, ").replace("high: {", "high: {text: b, ") + "texts: [a, b]\n"
    )
    named = tuple(f"{name}={texts}" for name in "abc")
    request = StudyRequest(str(tmp_path / "texts.yaml"), named, scale="smoke", out=tmp_path)
    with pytest.raises(UserError, match=r"no arm reads the text c=.*; write --text a=PATH --text b=PATH"):
        planned(request)


def test_equal_time_at_the_smallest_scale_is_some_tokens(two, texts, tmp_path, monkeypatch):
    speeds = iter([1000.0, 300.0])
    monkeypatch.setattr(plan, "_speed", lambda *_: next(speeds))
    Path(two).write_text(TWO + "hold: seconds\n")
    made = planned(StudyRequest(two, (str(texts),), scale="smoke", out=tmp_path / "runs"))
    assert {name: budget.amount for name, budget in made.budgets.items()} == {"low": 1000, "high": 300}


def test_the_page_of_a_file_of_ones_own_says_the_command_that_finds_it(texts, tmp_path):
    (tmp_path / "my study.yaml").write_text(TWO)
    request = StudyRequest(str(tmp_path / "my study.yaml"), (str(texts),), scale="smoke", out=tmp_path, seeds=1)
    assert results._command(planned(request)) == "afterbert study 'my study.yaml' --text MINE --scale smoke --seeds 1"


def test_a_study_is_written_from_a_run_and_a_recipe_of_any_name(texts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("meine Übung.yaml").write_text("extends: laptop\ntraining: {optimizer: {type: muon, learning_rate: 0.001}}\n")
    small = ["--length", "32", "--model.num_hidden_layers", "1", "--tokenizer.vocab_size", "300"]
    assert command(["pretrain", str(texts), *small, "--budget", "1steps", "--name", "made"]) == 0
    assert command(["study", "new", "my own", "runs/made", "meine Übung.yaml", "--question", "Which?"]) == 0
    assert "afterbert study 'my own.yaml' --text MINE" in Path("my own.yaml").read_text()
    plan = planned(StudyRequest("my own.yaml", (str(texts),), scale="smoke", out=tmp_path / "runs"))
    assert list(plan.arms) == ["made", "meine-Übung"]
    names = [run.folder(tmp_path / "runs").path.name for run in plan.runs]
    assert [name.rpartition("-")[0] for name in names] == ["recipe", "recipe", "meine-bung-tiny", "meine-bung-tiny"]


def test_a_plan_that_is_none_is_told_with_its_place(tmp_path):
    (tmp_path / "studies" / "x").mkdir(parents=True)
    (tmp_path / "studies" / "x" / "plan.json").write_text('{"study": "x"}')
    with pytest.raises(UserError, match=r"plan.json is no plan of a study"):
        progress_of(tmp_path)


def test_pages_of_the_study_one_stands_in_have_their_index_above_it(two, texts, tmp_path, monkeypatch):
    done = run_study(planned(StudyRequest(two, (str(texts),), scale="smoke", out=tmp_path / "runs", seeds=1)))
    monkeypatch.chdir(done.folder)
    assert command(["study", "report", "."]) == 0
    assert (done.folder.parent / "index.html").is_file() and not (done.folder / "index.html").exists()


def test_a_time_for_the_whole_study_sets_the_tokens(two, texts, tmp_path):
    request = StudyRequest(two, (str(texts),), scale="smoke", out=tmp_path / "runs", budget="1h", seeds=1)
    plan = planned(request)
    assert plan.scale.budget.amount > 100_000
    with pytest.raises(UserError, match="too short for 2 runs"):
        planned(replace(request, budget="0.001s"))


def test_what_holds_flops_equal_gives_a_larger_model_fewer_steps(texts, tmp_path):
    text = TWO.replace(
        "high: {set: {masking.rate: 0.4}}", "high: {set: {masking.rate: 0.15, model.num_hidden_layers: 4}}"
    )
    (tmp_path / "size.yaml").write_text(text + "hold: flops\nscales: {smoke: {model.num_hidden_layers: 2}}\n")
    request = StudyRequest(str(tmp_path / "size.yaml"), (str(texts),), scale="smoke", out=tmp_path / "runs", seeds=1)
    done = run_study(planned(request))
    low, high = (done.results.arms[arm].cost for arm in ("low", "high"))
    assert high.steps < low.steps
    assert high.flops <= low.flops


def test_a_study_of_tasks_asks_for_some(texts, tmp_path):
    (tmp_path / "tasks.yaml").write_text(TWO + "needs_tasks: true\n")
    with pytest.raises(UserError, match="name one or more: --task"):
        planned(StudyRequest(str(tmp_path / "tasks.yaml"), (str(texts),), scale="smoke", out=tmp_path))


def test_a_question_about_epochs_refuses_a_text_that_is_too_long_for_them(two, texts, tmp_path):
    Path(two).write_text(TWO + "least_epochs: 100000\n")
    request = StudyRequest(two, (str(texts),), out=tmp_path / "runs")
    with pytest.raises(
        UserError, match=r"read 100000 times or more, but 500ktokens of [\d,]+ pieces are .* at most 5 pie"
    ):
        planned(request)
    planned(replace(request, scale="smoke"))


def test_what_a_study_sets_at_its_scale_is_told(two, texts, tmp_path):
    Path(two).write_text(TWO + "scales: {smoke: {length: 16}}\n")
    done = run_study(planned(StudyRequest(two, (str(texts),), scale="smoke", out=tmp_path / "runs", seeds=1)))
    assert done.results.settings["length"] == "16"
