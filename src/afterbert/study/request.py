"""What a user asks of a study, and whether it can be answered: refused before anything is trained."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.plugins import find, name_of
from afterbert.compression.chain import check_all, parse
from afterbert.compression.subject import Form
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.find_task import DataOptions
from afterbert.study.control import ResolvedArm, is_under
from afterbert.study.design import Arm, Study
from afterbert.study.measures import Measure
from afterbert.text.token_store.mixture import is_store
from afterbert.workflows.closing import Closing


@dataclass(frozen=True)
class StudyRequest:
    """A request for a study, as a user makes it."""

    study: str
    """The name of a study that comes along, or the path of a YAML file."""
    texts: tuple[str, ...] = ()
    """Paths of texts, or of one store; NAME=PATH where the study's arms read several."""
    scale: str = "minutes"
    out: Path = Path("runs")
    """The folder for runs and stores; studies write below `studies` in it."""
    tasks: tuple[str, ...] = ()
    """Labelled tasks that each run is fine-tuned on, as `finetune --task` names them."""
    pairs: tuple[str, ...] = ()
    """Files of minimal pairs."""
    parallel: tuple[str, ...] = ()
    """Tables of translations, whose sentences each run is asked to find."""
    seeds: int | None = None
    """How many; None takes the scale's."""
    budget: str | None = None
    """A time for the whole study, to which the runs are fitted; None takes the scale's tokens."""

    @property
    def words(self) -> list[str]:
        """The words on the command line that make this request."""
        several = {"--text": self.texts, "--task": self.tasks, "--pairs": self.pairs, "--parallel": self.parallel}
        options = [(name, value) for name, values in several.items() for value in values]
        options.insert(len(self.texts), ("--scale", self.scale))
        options += [("--seeds", str(self.seeds))] if self.seeds is not None else []
        options += [("--budget", self.budget)] if self.budget is not None else []
        options += [("--out", str(self.out))] if self.out != StudyRequest.out else []
        return ["study", self.study, *(word for option in options for word in option)]


def check_named(request: StudyRequest, name: str, study: Study) -> None:
    """Raises UserError if the study asks of something that is not named, or if what is named cannot be read."""
    if study.needs_tasks and not request.tasks:
        raise UserError(
            f"study {name} asks about labelled tasks, but none is named; name one or more: --task NAME:PATH"
        )
    if study.needs_translations and not request.parallel:
        raise UserError(f"study {name} asks whether translations are found, but none are named; name some: --parallel")
    mixes = [name for name, arm in study.arms.items() if arm.finetune.strategy is not None]
    if mixes and len(request.tasks) < 2:
        raise UserError(f"study {name} asks how one model learns several tasks; name two or more: --task NAME:PATH")
    deciding = find(Measure, study.decision.measure)
    given = {"--task": request.tasks, "--pairs": request.pairs}
    if deciding.asked_by and not given[deciding.asked_by.split()[0]]:
        raise UserError(
            f"study {name} decides by {study.decision.measure}, which no run is asked; name what it asks: "
            f"{deciding.asked_by}"
        )
    Closing(pairs=request.pairs, parallel=request.parallel).read()


def check_tasks(request: StudyRequest, arms: Mapping[str, ResolvedArm]) -> None:
    """Raises UserError, before anything is trained, for tasks whose rows are not there or cannot be read, and for arms
    that do not fit them."""
    learns = any(arm.arm.cue is None for arm in arms.values())
    sources = [DataOptions().find(task) for task in request.tasks]
    twice = [name for name, count in Counter(source.name for source in sources).items() if count > 1]
    if twice:
        raise UserError(f"two tasks are called {twice[0]}; tell them apart: --task NAME:PATH")
    for source in sources:
        data = read(source, needs_training=learns)
        if not data.task.metrics[0].higher_is_better:
            raise UserError(
                f"{source.name} is judged by {data.task.metrics[0].name}, of which less is better, and a study takes "
                "more for better; name another one first in its task file"
            )
        others = [row for split, rows in data.splits.items() if split != "train" for row in rows]
        for name, arm in arms.items():
            try:
                check_all(
                    Form(arm.resolved.recipe.model, task=name_of(source.task)), [parse(one) for one in arm.arm.compress]
                )
            except UserError as error:
                raise UserError(*(f"arm {name}: {line}" for line in error.lines)) from error
            if arm.arm.cue is not None and not isinstance(source.task, arm.arm.cue.tasks):
                asked, kind = name_of(arm.arm.cue), name_of(source.task)
                raise UserError(
                    f"arm {name}: the cue {asked} does not pose {kind}; name another task than {source.name}"
                )
            if arm.arm.compress and source.files.keys() != {"all"} and not any(map(data.task.is_usable, others)):
                raise UserError(
                    f"arm {name}: {source.name} has no labelled rows beside those to learn from, and others judge "
                    "smaller models; name one file of all rows, or a folder with a dev or test file"
                )
            if arm.arm.ensemble > 1 and source.task.answer != "class":
                raise UserError(f"arm {name}: an ensemble answers with classes; name another task than {source.name}")
            if arm.arm.ensemble > 1 and not {"test", "dev"} & source.files.keys():
                raise UserError(
                    f"arm {name}: each seed holds out other rows of {source.name}, so its members cannot answer "
                    "together; name a folder with a test or dev file"
                )


def check_texts(request: StudyRequest, study: Study, arms: Mapping[str, ResolvedArm]) -> None:
    """Raises UserError for a text that no arm reads, and for arms that differ in their pieces alone where a store is
    named, which has pieces of its own."""
    for arm in arms.values():
        texts_of(request, study, arm.arm)
    for text in request.texts:
        name, equals, path = text.partition("=")
        if study.texts and not (equals and name in study.texts):
            wanted = " ".join(f"--text {one}=PATH" for one in study.texts)
            raise UserError(f"no arm reads the text {text}; write {wanted}")
        store = Path(path if study.texts else text)
        for arm in arms.values():
            if is_store(store) and arm.changes and all(is_under(one, ["tokenizer"]) for one in arm.changes):
                raise UserError(
                    f"arm {arm.name} differs from {study.reference} in its tokenizer alone, but {store} is a store, "
                    "whose pieces are cut; name the texts it was made of"
                )


def texts_of(request: StudyRequest, study: Study, arm: Arm) -> tuple[str, ...]:
    """Returns what the user named for an arm to read. Raises UserError where the arm's text is not among it."""
    if arm.text is None:
        return request.texts
    pairs = [text.partition("=") for text in request.texts]
    found = tuple(path for name, equals, path in pairs if equals and name == arm.text)
    if not found:
        wanted = " ".join(f"--text {name}=PATH" for name in study.texts)
        raise UserError(f"no text is called {arm.text}, but the arms of this study read several; write {wanted}")
    return found
