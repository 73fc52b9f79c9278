"""Arms that differ after training share their runs; an ensemble answers by the mean of its members' logits."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from invented import write_task, write_texts, write_transfer

from afterbert.base.errors import UserError
from afterbert.base.sealed import write_sealed
from afterbert.study.answering import together
from afterbert.study.engines import Engine
from afterbert.study.made import FinishedRun, TaskAnswers
from afterbert.study.measures.task_score import TaskScore
from afterbert.study.measures.transfer import TransferScore
from afterbert.study.plan import planned
from afterbert.study.request import StudyRequest
from afterbert.study.running import run_one, run_study
from afterbert.workflows.observer import WorkObserver

TUNED = """\
question: Is it better tuned longer?
needs_tasks: true
arms:
  short: {}
  long: {finetune: {share: 2}}
  several: {ensemble: 3}
  tunings: {ensemble: 2, shares_model: true}
measures: [task_score]
decision: {measure: task_score, smallest: 0.01}
"""

NONE = """\
question: Does pre-training help?
needs_tasks: true
arms:
  learned: {}
  none: {is_pretrained: false}
measures: [task_score]
decision: {measure: task_score, smallest: 0.01}
"""


class Lines(WorkObserver):
    def __init__(self):
        self.lines = []

    def on_line(self, text):
        self.lines.append(text)


class Collecting(Engine):
    """Carries nothing out, and keeps what it was given."""

    def __call__(self, commands, *, folder, observer, look=None):
        self.given.extend(command[-1] for command in commands)
        return False


def member(folder, chances):
    """A run that gave the class `a` these chances, row by row; all rows are `b`."""
    (folder / "seed-0" / "predictions").mkdir(parents=True)
    rows = [
        {
            "key": f"row:{number}",
            "prediction": "a" if chance > 0.5 else "b",
            "probability": {"a": chance, "b": round(1 - chance, 6)},
            "label": "b",
        }
        for number, chance in enumerate(chances)
    ]
    (folder / "seed-0" / "predictions" / "t.test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    right = sum(row["prediction"] == "b" for row in rows) / len(rows)
    write_sealed(
        folder / "results.json", {"tasks": {"t": {"splits": {"test": {"metrics": {"accuracy": {"mean": right}}}}}}}
    )
    return FinishedRun(None, {"t": folder})


def test_an_ensemble_takes_the_mean_of_logits_not_of_chances(tmp_path):
    members = [member(tmp_path / name, [chance, 0.9]) for name, chance in (("x", 0.001), ("y", 0.9), ("z", 0.9))]
    found = together(SimpleNamespace(request=SimpleNamespace(out=tmp_path)), members)
    answers = TaskAnswers.read(found.tasks["t"], "t")
    assert [row["prediction"] for row in answers.rows] == ["b", "a"]
    assert (answers.value, answers.metric, answers.split) == (0.5, "accuracy", "test")
    assert found.members == tuple(members)


def test_ensembles_of_a_strategy_have_a_folder_each(tmp_path):
    """The fine-tunings of all members lie in folders that are called by the strategy."""
    plan = SimpleNamespace(request=SimpleNamespace(out=tmp_path))
    teams = [[member(tmp_path / name / "multi_task", [chance])] for name, chance in (("x", 0.9), ("y", 0.1))]
    found = [together(plan, team).tasks["t"] for team in teams]
    assert [TaskAnswers.read(folder, "t").value for folder in found] == [0.0, 1.0]


def test_rows_of_a_task_are_found_whatever_it_is_called(tmp_path):
    made = member(tmp_path / "x", [0.9, 0.1]).tasks["t"]
    (made / "seed-0" / "predictions" / "t.test.jsonl").rename(made / "seed-0" / "predictions" / "t [*].test.jsonl")
    told = {"tasks": {"t [*]": {"splits": {"test": {"metrics": {"accuracy": {"mean": 0.5}}}}}}}
    write_sealed(made / "results.json", told)
    found = TaskScore()(FinishedRun(None, {"t [*]": made}))
    assert (found.scores, found.floor) == ((0.0, 1.0), 1.0)


def test_what_is_no_fine_tuning_tells_no_language(tmp_path):
    assert TransferScore()(member(tmp_path / "x", [0.9])) is None


def test_transfer_is_what_other_languages_get_beside_guessing(tmp_path):
    def split(mean, guess):
        return {"metrics": {"accuracy": {"mean": mean}}, "baseline_metrics": {"accuracy": guess}}

    told = {"languages": {"dev": "en", "de": "de", "is": "is"}}
    told["splits"] = {"dev": split(0.9, 0.5), "de": split(0.6, 0.2), "is": split(0.4, 0.3)}
    (tmp_path / "results.json").write_text(json.dumps({"tasks": {"tags": told}}))
    found = TransferScore()(FinishedRun(None, {"tags": tmp_path}))
    assert (found.value, found.floor) == pytest.approx((0.5, 0.25))


def test_runs_that_arms_share_are_trained_once(tmp_path):
    (tmp_path / "tuned.yaml").write_text(TUNED)
    tasks = (f"boats:{write_transfer(tmp_path / 'boats')}",)
    texts = (str(write_texts(tmp_path / "texts")),)
    plan = planned(
        StudyRequest(str(tmp_path / "tuned.yaml"), texts, scale="smoke", out=tmp_path / "runs", seeds=2, tasks=tasks)
    )
    assert len(plan.runs) == 2 + 2 + 3 * 2 + 2 * 2
    of_one_model = [run for run in plan.runs if run.arm == "tunings"]
    assert len({run.seed for run in of_one_model}) == 4, "each fine-tuning has a seed of its own"
    assert len({run.folder(tmp_path).path for run in of_one_model}) == 2
    engine = Collecting()
    object.__setattr__(engine, "given", [])
    assert run_study(plan, engine=engine).results is None
    assert len(engine.given) == len(set(engine.given)) == 3 * 2, "the first member of the ensemble is the arm's own run"


class InTurn(Engine):
    """Carries runs out as the command of each would."""

    def __call__(self, commands, *, folder, observer, look=None):
        for command in commands:
            assert run_one(self.plan, command[-1]) == 0
            look()
        return True


def test_an_engine_asks_the_tasks_too_and_is_given_no_run_twice(tmp_path):
    (tmp_path / "none.yaml").write_text(NONE)
    tasks = (f"boats:{write_transfer(tmp_path / 'boats')}",)
    texts = (str(write_texts(tmp_path / "texts")),)
    request = StudyRequest(str(tmp_path / "none.yaml"), texts, scale="smoke", out=tmp_path / "runs", tasks=tasks)
    plan, said = planned(replace(request, seeds=1)), Lines()
    engine = InTurn()
    object.__setattr__(engine, "plan", plan)
    assert run_study(plan, engine=engine, observer=said).results is not None
    assert not [line for line in said.lines if "fine-tuning" in line], "nothing is left to this process"
    (run,) = plan.runs
    folder = run.folder(plan.request.out).path
    idle = Collecting()
    object.__setattr__(idle, "given", [])
    assert run_study(plan, engine=idle).results is not None and idle.given == []
    # The models may come from another study, which asked them nothing.
    (plan.folder / "asked" / folder.name).unlink()
    assert run_study(plan, engine=idle).results is None and idle.given == [folder.name]


def test_one_task_is_too_few_to_be_learned_together(tmp_path):
    (tmp_path / "mixed.yaml").write_text(TUNED.replace("{share: 2}", "{strategy: multi_task}"))
    request = StudyRequest(str(tmp_path / "mixed.yaml"), ("x",), scale="smoke", out=tmp_path, tasks=("t:x",))
    with pytest.raises(UserError, match="name two or more"):
        planned(request)


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("{ensemble: 2}", "arm several: each seed holds out other rows of horses"),
        ("{compress: ['layers:9']}", "arm several: layers.*9"),
        ("{cue: reading}", "arm several: the cue reading does not pose sentence_classification"),
    ],
)
def test_an_arm_that_does_not_fit_the_task_is_refused_before_anything_is_trained(arm, said, tmp_path):
    (tmp_path / "tuned.yaml").write_text(TUNED.replace("{ensemble: 3}", arm))
    tasks = (f"horses:{write_task(tmp_path)}",)
    request = StudyRequest(str(tmp_path / "tuned.yaml"), ("x",), scale="smoke", out=tmp_path, tasks=tasks)
    with pytest.raises(UserError, match=said):
        planned(request)
    with pytest.raises(UserError, match="nowhere"):
        planned(replace(request, tasks=("horses:nowhere.csv",)))


def test_smaller_models_need_rows_to_be_judged_by(tmp_path):
    (tmp_path / "tuned.yaml").write_text(TUNED.replace("{ensemble: 3}", "{compress: ['layers:1']}"))
    (tmp_path / "horses").mkdir()
    write_task(tmp_path).rename(tmp_path / "horses" / "train.csv")
    tasks = (str(tmp_path / "horses"),)
    with pytest.raises(UserError, match="arm several: horses has no labelled rows beside those to learn from"):
        planned(StudyRequest(str(tmp_path / "tuned.yaml"), ("x",), scale="smoke", out=tmp_path, tasks=tasks))


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (("horses.csv", "more/horses.csv"), "two tasks are called horses"),
        (("grades.yaml",), "grades is judged by squared_error, of which less is better"),
        ((), "decides by task_score, which no run is asked.*--task NAME:PATH"),
    ],
)
def test_tasks_that_would_mislead_a_verdict_are_refused(tasks, said, tmp_path):
    by_score = "measures: [task_score]\ndecision: {measure: task_score, smallest: 0.01}\n"
    (tmp_path / "two.yaml").write_text(f"question: Which?\narms: {{a: {{}}, b: {{budget: 2}}}}\n{by_score}")
    (tmp_path / "more").mkdir()
    write_task(tmp_path), write_task(tmp_path / "more")
    (tmp_path / "grades.csv").write_text("text,label\n" + "".join(f"row {n},{n / 7}\n" for n in range(40)))
    (tmp_path / "grades.yaml").write_text(
        "task: {type: regression, metrics: [squared_error]}\nfiles: {all: grades.csv}\n"
    )
    tasks = tuple(str(tmp_path / task) for task in tasks)
    with pytest.raises(UserError, match=said):
        planned(StudyRequest(str(tmp_path / "two.yaml"), ("x",), scale="smoke", out=tmp_path, tasks=tasks))


def test_rows_that_cannot_be_read_are_refused_before_anything_is_trained(tmp_path):
    (tmp_path / "tuned.yaml").write_text(TUNED)
    (tmp_path / "rows.tsv").write_text("a fine day\t1\na dull day\t0\n")
    (tmp_path / "task.yaml").write_text("task: sentence_classification\nfiles: {train: rows.tsv, dev: rows.tsv}\n")
    tasks = (f"days:{tmp_path / 'task.yaml'}",)
    request = StudyRequest(str(tmp_path / "tuned.yaml"), ("x",), scale="smoke", out=tmp_path, tasks=tasks)
    with pytest.raises(UserError, match="rows.tsv: no column for text among 1, 2; say"):
        planned(request)


def test_a_study_of_several_texts_says_which_it_wants(tmp_path):
    text = TUNED.replace("needs_tasks: true", "needs_tasks: true\ntexts: [plain, other]")
    text = text.replace("short: {}", "short: {text: plain}").replace("long: {", "long: {text: other, ")
    (tmp_path / "texts.yaml").write_text("".join(line for line in text.splitlines(True) if "ensemble" not in line))
    named, tasks = f"plain={write_texts(tmp_path / 'texts')}", (f"horses:{write_task(tmp_path)}",)
    request = StudyRequest(str(tmp_path / "texts.yaml"), (named,), scale="smoke", out=tmp_path, tasks=tasks)
    with pytest.raises(UserError, match="no text is called other.*--text plain=PATH --text other=PATH"):
        planned(request)
    with pytest.raises(UserError, match="no text is called plain"):
        planned(replace(request, texts=("my_texts",)))


CUED = """\
question: Is it told?
base: laptop-gpt
needs_tasks: true
arms:
  told: {cue: candidates}
  untold: {cue: candidates, is_told: false}
measures: [task_score]
decision: {measure: task_score, smallest: 0.01}
"""


def test_edited_rows_are_asked_anew(tmp_path):
    (tmp_path / "cued.yaml").write_text(CUED)
    texts, task = (str(write_texts(tmp_path / "texts")),), write_task(tmp_path)
    request = StudyRequest(
        str(tmp_path / "cued.yaml"), texts, scale="smoke", out=tmp_path / "runs", seeds=1, tasks=(f"t:{task}",)
    )

    def asked():
        assert run_study(planned(request)).results is not None
        return {folder.name for folder in (tmp_path / "runs").glob("cue-*")}

    once = asked()
    assert len(once) == 2 and asked() == once
    task.write_text("".join(task.read_text().splitlines(keepends=True)[:-1]))
    assert len(asked()) == 4
