"""Concurrent requests answered together: whatever has come while a batch was computed makes the next one."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException

from afterbert.base.errors import UserError


@dataclass
class Batcher:
    """Asks `answer` for many items at once, in the thread of `executor`; nobody waits for a batch to fill.

    answer: from items to as many answers. most: items in a batch; most_waiting: in the queue.
    """

    answer: Callable[[list[Any]], Sequence[Any]]
    executor: Executor
    most: int = 32
    most_waiting: int = 512
    waiting: list[tuple[Any, asyncio.Future[Any]]] = field(default_factory=list)
    _working: asyncio.Task[None] | None = None

    async def __call__(self, items: Sequence[Any]) -> list[Any]:
        """The answers to some items. Raises HTTPException 429 when the queue is full, and UserError."""
        if len(self.waiting) + len(items) > self.most_waiting:
            raise HTTPException(429, "too many rows are waiting; ask again soon")
        loop = asyncio.get_running_loop()
        mine = [(item, loop.create_future()) for item in items]
        self.waiting += mine
        if self._working is None or self._working.done():
            self._working = loop.create_task(self._work())
        return list(await asyncio.gather(*(future for _, future in mine)))

    async def _work(self) -> None:
        while self.waiting:
            batch, self.waiting = self.waiting[: self.most], self.waiting[self.most :]
            batch = [one for one in batch if not one[1].done()]  # those behind it were given up
            found = await asyncio.get_running_loop().run_in_executor(
                self.executor, self._answers, [i for i, _ in batch]
            )
            for (_, future), one in zip(batch, found):
                if not future.done():
                    future.set_exception(one) if isinstance(one, Exception) else future.set_result(one)

    def _answers(self, items: list[Any]) -> Sequence[Any]:
        """An answer or an error for each: where one item cannot be answered, the others are."""
        try:
            return self.answer(items) if items else []
        except UserError as error:
            return [error] if len(items) == 1 else [one for item in items for one in self._answers([item])]
        except Exception as error:  # a bug: whoever asked must hear of it
            return [error] * len(items)
