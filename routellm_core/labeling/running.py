"""Carry out the plans of many prompts: calls side by side, each paid once, within the cap."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from routellm_core.errors import BudgetExceededError, ConfigurationError
from routellm_core.labeling.asking import AskError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from routellm_core.labeling.asking import Asker
    from routellm_core.labeling.calls import Call, Plan, Reply
    from routellm_core.labeling.journal import Journal
    from routellm_core.labeling.spending import Spending

__all__ = ["Progress", "RunResult", "Runner"]

T = TypeVar("T")

_ATTEMPTS = 4
_FIRST_WAIT_S = 0.5
_MAX_FAILURES_IN_A_ROW = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    n_done, n_prompts
        Prompts that are labelled, and all of them.
    n_calls
        Calls that this run paid for.
    spent_usd
        What was spent, earlier runs included.
    """

    n_done: int
    n_prompts: int
    n_calls: int
    spent_usd: float


@dataclass(frozen=True, slots=True, eq=False)
class RunResult(Generic[T]):
    """What plans returned.

    Parameters
    ----------
    results
        In the order of the plans; None for a plan that the cap stopped.
    n_calls, n_failed
        Calls that this run paid for, and calls that failed for good.
    capped
        Why the cap stopped the run; "" when it did not.
    """

    results: list[T | None]
    n_calls: int
    n_failed: int
    capped: str


class Runner:
    """The driver of plans, which alone talks to models and to the disk.

    Parameters
    ----------
    asker
        Sends calls.
    journal
        Holds the answers of earlier runs and takes new ones.
    spending
        Bounds what is sent.
    concurrency
        The most calls in flight at a time.
    wait_s
        Before the second attempt of a call; doubled for each further one.
    """

    def __init__(
        self,
        asker: Asker,
        journal: Journal,
        spending: Spending,
        *,
        concurrency: int = 8,
        wait_s: float = _FIRST_WAIT_S,
    ) -> None:
        if concurrency < 1:
            raise ConfigurationError(f"`concurrency` must be at least 1, got {concurrency!r}.")
        self._asker = asker
        self._journal = journal
        self._spending = spending
        self._concurrency = concurrency
        self._wait_s = wait_s
        self._in_flight: dict[str, asyncio.Task[Reply | None]] = {}
        self._failures_in_a_row: Counter[str] = Counter()  # by model: a judge may fail alone
        self._n_reserved = 0
        self._settled = asyncio.Event()
        self._is_stopping = False
        self.n_calls = 0
        self.n_failed = 0

    async def run(
        self, plans: Sequence[Plan[T]], *, on_progress: Callable[[Progress], None] | None = None
    ) -> RunResult[T]:
        """Carry out plans, in order as far as several at a time allow.

        A cancelled run, as by Ctrl-C, waits for the answers in flight and keeps them.

        Raises
        ------
        AskError
            If a model refuses every call, as for a wrong key.
        """
        self._slots = asyncio.Semaphore(self._concurrency)
        self._is_stopping = False
        results: list[T | None] = [None] * len(plans)
        capped: list[str] = []
        numbered = iter(enumerate(plans))
        n_done = 0

        async def work(numbered: Iterator[tuple[int, Plan[T]]]) -> None:
            nonlocal n_done
            for index, plan in numbered:
                if capped:
                    return
                try:
                    results[index] = await self._carry_out(plan)
                except BudgetExceededError as error:
                    capped.append(str(error))
                    return
                n_done += 1
                if on_progress is not None:
                    spent = self._spending.spent_usd
                    on_progress(Progress(n_done, len(plans), self.n_calls, spent))

        workers = [asyncio.ensure_future(work(numbered)) for _ in range(self._concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            await self._settle(workers)
        return RunResult(results, self.n_calls, self.n_failed, capped[0] if capped else "")

    async def _settle(self, workers: Sequence[asyncio.Future[None]]) -> None:
        """Start nothing more, and keep what is in flight: it is paid."""
        self._is_stopping = True
        self._settled.set()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        while self._in_flight:
            await asyncio.gather(*self._in_flight.values(), return_exceptions=True)
            # From Python 3.12 on, waiting for what is done gives `_landed` no turn.
            await asyncio.sleep(0)

    async def _carry_out(self, plan: Plan[T]) -> T:
        replies: Sequence[Reply | None] | None = None
        while True:
            try:
                calls = plan.send(replies) if replies is not None else next(plan)
            except StopIteration as end:
                result: T = end.value
                return result
            found = await asyncio.gather(*map(self._reply, calls), return_exceptions=True)
            for one in found:
                if isinstance(one, BaseException):
                    raise one
            replies = [one for one in found if not isinstance(one, BaseException)]

    async def _reply(self, call: Call) -> Reply | None:
        """Return the answer of an earlier run, or of an equal call in flight, or a new one."""
        key = call.key
        known = self._journal.reply(key)
        if known is not None:
            return known
        task = self._in_flight.get(key)
        if task is None:
            async with self._slots:
                # An equal call may have begun, or ended, while this one waited.
                known = self._journal.reply(key)
                if known is not None:
                    return known
                task = self._in_flight.get(key)
                if task is None:
                    task = asyncio.ensure_future(self._ask(call))
                    self._in_flight[key] = task
                    task.add_done_callback(partial(self._landed, key))
                return await asyncio.shield(task)
        return await asyncio.shield(task)

    def _landed(self, key: str, task: asyncio.Task[Reply | None]) -> None:
        del self._in_flight[key]
        if not task.cancelled():
            # Whoever waits for it raises it; when a run ends, nobody may wait any more.
            task.exception()

    async def _ask(self, call: Call) -> Reply | None:
        wait_s = self._wait_s
        for attempt in range(1, _ATTEMPTS + 1):
            reserved = await self._reserve(call)
            if reserved is None:
                return None
            self._journal.sent(call.key, most_usd=reserved)
            try:
                reply = await self._asker.ask(call)
            except AskError as error:
                self._journal.failed(call.key, maybe_paid=error.maybe_paid)
                self._settle_one(reserved, reserved if error.maybe_paid else 0.0)
                if error.fatal:
                    raise
                if error.retry and attempt < _ATTEMPTS:
                    await asyncio.sleep(wait_s)
                    wait_s *= 2.0
                    continue
                self._gave_up(call.model, error)
                return None
            cost = self._spending.prices.cost_usd(call, reply)
            reply = dataclasses.replace(reply, cost_usd=cost)
            self._journal.answered(call.key, reply)
            self._settle_one(reserved, cost)
            self.n_calls += 1
            self._failures_in_a_row[call.model] = 0
            return reply
        return None

    async def _reserve(self, call: Call) -> float | None:
        """Set aside the most that a call can cost; None where the run ends meanwhile.

        What calls in flight set aside is more than they will cost: only when none is left does the
        cap stop the run.
        """
        while not self._is_stopping:
            try:
                reserved = self._spending.reserve(call)
            except BudgetExceededError:
                if self._n_reserved == 0:
                    raise
                self._settled.clear()
                await self._settled.wait()
            else:
                self._n_reserved += 1
                return reserved
        return None

    def _settle_one(self, reserved_usd: float, cost_usd: float) -> None:
        self._n_reserved -= 1
        self._spending.settle(reserved_usd, cost_usd)
        self._settled.set()

    def _gave_up(self, model: str, error: AskError) -> None:
        self.n_failed += 1
        self._failures_in_a_row[model] += 1
        if self._failures_in_a_row[model] >= _MAX_FAILURES_IN_A_ROW:
            raise AskError(
                f"{self._failures_in_a_row[model]} calls of {model!r} failed in a row, the last "
                f"one so: {error} The same command goes on from here.",
                fatal=True, retry=False, maybe_paid=False,
            ) from error  # fmt: skip
