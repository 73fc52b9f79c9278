"""All but the task that counts together, then fine-tuned on it: does what was learned serve a new task? Source: T5
(1910.10683), Section 3.5.3, "leave-one-out" multi-task training.

All tasks of the target's group are left out with it; T5's code counts all of GLUE as one task, and all of SuperGLUE.
"""

from dataclasses import dataclass

from afterbert.downstream.strategies import Share, Sources, Strategy


@dataclass(frozen=True)
class LeaveOneOut(Strategy):
    """
    >>> LeaveOneOut().mixed("a", Sources(["a", "b", "c"], ["web"], {"a": "glue", "b": "glue"}))
    ('c', 'web')
    """

    share: Share = 2 / 3

    def mixed(self, target: str, among: Sources) -> tuple[str, ...]:
        left_out = among.groups.get(target, target)
        return (*(task for task in among.tasks if among.groups.get(task, task) != left_out), *among.texts)
