"""All but the task that counts together, then fine-tuned on it: does what was learned serve a new task? Source: T5
(1910.10683), Section 3.5.3, "leave-one-out" multi-task training.

All tasks of the target's group are left out with it; T5's code counts all of GLUE as one task, and all of SuperGLUE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afterbert.downstream.strategies import Share, Strategy


@dataclass(frozen=True)
class LeaveOneOut(Strategy):
    """
    >>> LeaveOneOut().mixed("a", tasks=["a", "b", "c"], texts=["web"], groups={"a": "glue", "b": "glue"})
    ('c', 'web')
    """

    share: Share = 2 / 3

    def mixed(
        self, target: str, *, tasks: Sequence[str], texts: Sequence[str], groups: Mapping[str, str]
    ) -> tuple[str, ...]:
        left_out = groups.get(target, target)
        return (*(task for task in tasks if groups.get(task, task) != left_out), *texts)
