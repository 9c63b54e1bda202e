"""Calls are paid once, within the cap, whatever interrupts them."""

import asyncio
import gc
import itertools
import json
import math
import os
import subprocess
import sys

import pytest

from routellm_core.errors import BudgetExceededError, ConfigurationError, DataError
from routellm_core.labeling.asking import AskError
from routellm_core.labeling.calls import Call, Reply, user_message
from routellm_core.labeling.journal import Journal
from routellm_core.labeling.running import Runner
from routellm_core.labeling.spending import PriceList, Spending
from routellm_core.monitoring import Price

PRICES = PriceList({"m": Price("m", 1e-6, 1e-5), "bad": Price("bad", 0.0, 0.0)})


def call(text: str, **options) -> Call:
    return Call("m", (user_message(text),), 10, **options)


def plan(*calls):
    replies = yield list(calls)
    return [None if reply is None else reply.text for reply in replies]


class Scripted:
    """Answers "re: TEXT"; raises what is scripted first; counts what it was asked."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked: list[str] = []
        self.most_at_once = self.now = 0

    async def ask(self, call: Call) -> Reply:
        self.asked.append(call.messages[-1]["content"])
        self.now += 1
        self.most_at_once = max(self.now, self.most_at_once)
        await asyncio.sleep(0)
        self.now -= 1
        if self.errors:
            raise self.errors.pop(0)
        return Reply(f"re: {call.messages[-1]['content']}", 5, 3)


def run(path, plans, *, asker=None, cap=None, **options):
    asker = asker or Scripted()
    with Journal(path) as journal:
        spending = Spending(PRICES, max_cost_usd=cap, spent_usd=journal.spent_usd)
        runner = Runner(asker, journal, spending, wait_s=0.0, **options)
        return asyncio.run(runner.run(plans)), spending, asker


def test_an_answer_in_the_journal_is_not_asked_for_again(tmp_path) -> None:
    path = tmp_path / "journal"
    first, spending, asker = run(path, [plan(call("a"), call("b")), plan(call("c"))])
    again, later, silent = run(path, [plan(call("a"), call("b")), plan(call("c"))])
    assert first.results == again.results == [["re: a", "re: b"], ["re: c"]]
    assert sorted(asker.asked) == ["a", "b", "c"]
    assert silent.asked == []
    assert later.spent_usd == pytest.approx(spending.spent_usd) == pytest.approx(3 * 35e-6)


def test_equal_calls_of_several_prompts_are_paid_once(tmp_path) -> None:
    found, _, asker = run(tmp_path / "journal", [plan(call("a")) for _ in range(5)])
    assert asker.asked == ["a"]
    assert found.results == [["re: a"]] * 5


def test_no_more_calls_are_in_flight_than_allowed(tmp_path) -> None:
    plans = [plan(*(call(f"{n} {i}") for i in range(4))) for n in range(6)]
    _, _, asker = run(tmp_path / "journal", plans, concurrency=3)
    assert asker.most_at_once == 3


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_journal_that_a_kill_cut_anywhere_goes_on(cut: int, tmp_path) -> None:
    path = tmp_path / "journal"
    plans = lambda: [plan(call(text)) for text in "abcd"]  # noqa: E731
    whole, _, _ = run(path, plans(), concurrency=1)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) * cut // 40])
    kept = path.read_bytes().rpartition(b"\n")[0].count(b'"text"')  # a torn line is no answer
    again, _, asker = run(path, plans(), concurrency=1)
    assert again.results == whole.results
    assert len(asker.asked) == 4 - kept


def test_a_call_that_was_sent_and_never_answered_stays_counted_as_spent(tmp_path) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal.sent("k", most_usd=0.25)
    with Journal(tmp_path / "journal") as journal:
        assert journal.spent_usd == 0.25
        journal.sent("k", most_usd=0.25)
        journal.answered("k", Reply("x", 1, 1, 0.1))
        assert journal.spent_usd == pytest.approx(0.35)
    with Journal(tmp_path / "journal") as journal:
        assert journal.spent_usd == pytest.approx(0.35)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_cap_is_never_passed(concurrency: int, tmp_path) -> None:
    plans = [plan(call(f"prompt {n}")) for n in range(40)]
    cap = 8 * PRICES.most_usd(call("prompt 12"))
    found, spending, asker = run(tmp_path / "journal", plans, cap=cap, concurrency=concurrency)
    assert spending.spent_usd <= cap
    assert "--max-cost" in found.capped
    assert 0 < len(asker.asked) < 40


@pytest.mark.parametrize("concurrency", [1, 4, 40])
def test_what_calls_in_flight_set_aside_does_not_end_the_run(concurrency: int, tmp_path) -> None:
    plans = [plan(call(f"prompt {n:02}")) for n in range(40)]
    cost, most = 35e-6, PRICES.most_usd(call("prompt 12"))
    found, spending, asker = run(
        tmp_path / "journal", plans, cap=10 * cost + most - cost, concurrency=concurrency
    )
    assert len(asker.asked) == 10
    assert spending.spent_usd == pytest.approx(10 * cost)
    assert "--max-cost" in found.capped


def test_a_cap_of_nothing_asks_nothing(tmp_path) -> None:
    found, _, asker = run(tmp_path / "journal", [plan(call("a"))], cap=0.0)
    assert asker.asked == []
    assert found.results == [None]


def test_a_cap_needs_prices() -> None:
    with pytest.raises(ConfigurationError, match="--price"):
        Spending(PriceList({"m": None}), max_cost_usd=1.0)
    with pytest.raises(BudgetExceededError):
        Spending(PRICES, max_cost_usd=1e-9).reserve(call("a"))


def error(**options) -> AskError:
    return AskError("no", **{"fatal": False, "retry": True, "maybe_paid": False, **options})


def test_a_call_that_fails_for_a_while_is_asked_again_and_paid_once(tmp_path) -> None:
    found, spending, asker = run(
        tmp_path / "journal", [plan(call("a"))], asker=Scripted(error(), error())
    )
    assert asker.asked == ["a", "a", "a"]
    assert found.results == [["re: a"]]
    assert spending.spent_usd == pytest.approx(35e-6)


def test_a_call_that_may_have_been_paid_counts_with_its_most(tmp_path) -> None:
    _, spending, _ = run(
        tmp_path / "journal", [plan(call("a"))], asker=Scripted(error(maybe_paid=True))
    )
    most = PRICES.most_usd(call("a"))
    assert spending.spent_usd == pytest.approx(most + 35e-6)
    with Journal(tmp_path / "journal") as journal:
        assert journal.spent_usd == pytest.approx(most + 35e-6)


def test_a_failed_call_is_none_and_is_asked_again_by_the_next_run(tmp_path) -> None:
    asker = Scripted(error(retry=False))
    found, _, _ = run(tmp_path / "journal", [plan(call("a"))], asker=asker)
    assert found.results == [[None]]
    assert found.n_failed == 1
    found, _, _ = run(tmp_path / "journal", [plan(call("a"))])
    assert found.results == [["re: a"]]


def test_a_wrong_key_stops_the_run_at_once(tmp_path) -> None:
    asker = Scripted(*(error(fatal=True) for _ in range(50)))
    with pytest.raises(AskError):
        run(tmp_path / "journal", [plan(call(str(n))) for n in range(50)], asker=asker)
    assert len(asker.asked) <= 8


def test_a_cancelled_run_keeps_the_answers_that_are_in_flight(tmp_path) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    class Slow:
        async def ask(self, call: Call) -> Reply:
            asked.set()
            await go.wait()
            return Reply("late", 1, 1)

    async def cancelled(journal: Journal) -> None:
        runner = Runner(Slow(), journal, Spending(PRICES))
        task = asyncio.ensure_future(runner.run([plan(call("a"))]))
        await asked.wait()
        task.cancel()
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Journal(tmp_path / "journal") as journal:
        asyncio.run(cancelled(journal))
    found, _, asker = run(tmp_path / "journal", [plan(call("a"))])
    assert found.results == [["late"]]
    assert asker.asked == []


def test_a_model_that_always_fails_stops_the_run_while_others_answer(tmp_path) -> None:
    class Half(Scripted):
        async def ask(self, call: Call) -> Reply:
            if call.model == "bad":
                self.asked.append("bad")
                raise error(retry=False)
            return await super().ask(call)

    asker = Half()
    bad = [Call("bad", (user_message(str(n)),), 10) for n in range(50)]
    plans = [plan(call(str(n)), bad[n]) for n in range(50)]
    with pytest.raises(AskError, match="20 calls of 'bad' failed in a row"):
        run(tmp_path / "journal", plans, asker=asker, concurrency=2)
    assert asker.asked.count("bad") < 25


def test_errors_of_calls_that_nobody_waits_for_are_not_reported(tmp_path) -> None:
    reported: list[object] = []

    class Refusing:
        def __init__(self) -> None:
            self.numbers = itertools.count()

        async def ask(self, call: Call) -> Reply:
            for _ in range(next(self.numbers) % 8):
                await asyncio.sleep(0)
            raise error(fatal=True)

    async def refused(journal: Journal, n: int) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, said: reported.append(said))
        runner = Runner(Refusing(), journal, Spending(PRICES))
        plans = [plan(*(call(f"{n} {i} {j}") for j in range(3))) for i in range(9)]
        with pytest.raises(AskError):
            await runner.run(plans)
        del runner, plans
        gc.collect()

    with Journal(tmp_path / "journal") as journal:
        for n in range(20):
            asyncio.run(refused(journal, n))
            gc.collect()
    assert reported == []


def test_a_run_that_ends_starts_no_call_again(tmp_path) -> None:
    asker = Scripted(*(error() for _ in range(99)))

    async def cancelled(journal: Journal) -> None:
        runner = Runner(asker, journal, Spending(PRICES), wait_s=0.05, concurrency=2)
        task = asyncio.ensure_future(runner.run([plan(call("a")), plan(call("b"))]))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Journal(tmp_path / "journal") as journal:
        asyncio.run(cancelled(journal))
    assert asker.asked == ["a", "b"]


_FULL = """
import resource, sys
from routellm_core.labeling.calls import Reply
from routellm_core.labeling.journal import Journal

with Journal(sys.argv[1]) as journal:
    journal.answered("first", Reply("x" * 100))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 50, hard))
    try:
        journal.answered("second", Reply("y" * 100))
    except OSError as error:
        print(error.filename)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    journal.answered("third", Reply("z" * 100))
"""


@pytest.mark.skipif(os.name != "posix", reason="limits on a file's size are POSIX's")
def test_half_a_line_of_a_full_disk_costs_no_other_answer(tmp_path) -> None:
    path = tmp_path / "journal"
    command = [sys.executable, "-c", _FULL, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(path)]
    with Journal(path) as journal:
        found = [journal.reply(key) for key in ("first", "second", "third")]
    assert [reply and reply.text[0] for reply in found] == ["x", None, "z"]


def test_two_runs_do_not_write_one_journal(tmp_path) -> None:
    with Journal(tmp_path / "j"), pytest.raises(ConfigurationError, match="in use"):
        Journal(tmp_path / "j")


def test_a_file_that_is_no_journal_is_left_alone(tmp_path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    with pytest.raises(DataError, match="line 1"):
        Journal(path)
    assert path.read_text() == "my notes\n"


def test_a_journal_holds_no_prompt_and_is_the_owners(tmp_path) -> None:
    run(tmp_path / "journal", [plan(call("secret prompt", template="t"))], asker=Constant())
    assert "secret" not in (tmp_path / "journal").read_text()
    assert (tmp_path / "journal").stat().st_mode & 0o077 == 0


class Constant:
    async def ask(self, call: Call) -> Reply:
        return Reply("yes", 1, 1)


def test_an_unknown_price_is_none_in_the_journal(tmp_path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.answered("k", Reply("x"))
    assert json.loads((tmp_path / "j").read_text())["usd"] is None
    with Journal(tmp_path / "j") as journal:
        assert math.isnan(journal.reply("k").cost_usd)
        assert journal.spent_usd == 0.0
