"""Where a run stands: all that a resumed loop must know besides weights, optimizer and generators."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SPIKE_WINDOW = 128  # losses that a new one is compared with


@dataclass
class Progress:
    """Counted since the run began, over all resumes.

    - `step`: updates made or left out; `tokens`: pieces the model has read; `seconds`: spent in all.
    - `batches_passed_over`: by rewinds; step n reads the data of step n + this.
    - `micro_batch_size`: rows in memory at once; smaller than those asked for after memory ran out.
    - `evaluation_due`: this step's evaluation was broken off or is still to come.
    - `enough`: why an observer ended the run before its budget was spent; empty where none did.
    - `non_finite`, `spikes`, `empty`: steps that gave no finite number, stood out, asked nothing.
    - `recent_losses`: for the spike watch; `sums`, `summed_steps`: losses since the last logged step.
    """

    asked_micro_batch_size: int
    micro_batch_size: int
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    batches_passed_over: int = 0
    evaluation_due: bool = False
    enough: str = ""
    non_finite: int = 0
    spikes: int = 0
    empty: int = 0
    recent_losses: list[float] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    summed_steps: int = 0

    @property
    def data_step(self) -> int:
        """The number of the batch that comes next."""
        return self.step + self.batches_passed_over

    def learned(self, losses: Mapping[str, float], total: float) -> None:
        """Notes the mean losses of a step; `loss` is kept beside the parts."""
        for name, loss in {**{f"part {n}": v for n, v in losses.items()}, "loss": total}.items():
            self.sums[name] = self.sums.get(name, 0.0) + loss
        self.summed_steps += 1
        self.recent_losses = [*self.recent_losses, total][-SPIKE_WINDOW:]

    def take_means(self) -> tuple[float | None, dict[str, float]]:
        """Returns the mean loss and mean parts since the last call; None and an empty mapping when no step gave any."""
        means = {name: total / self.summed_steps for name, total in self.sums.items()}
        self.sums, self.summed_steps = {}, 0
        loss = means.pop("loss", None)
        return loss, {name.removeprefix("part "): mean for name, mean in means.items()}
