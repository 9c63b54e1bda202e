"""What holds where an answer is streamed, and where its reader leaves."""

import asyncio

import pytest

from routellm_core import Monitor, RetrySettings
from routellm_core.answers import check
from routellm_core.plan import adrive, astream, stream
from routellm_core.strategies import BestOf, Cascade
from tests.plan.toy import Toy, ToyCall

LONG = check(lambda prompt, answer: min(1.0, len(answer.text) / 20), name="long")
FINE = "Because it is so, always."


async def leave_after_one_chunk(toy: Toy, way: str) -> None:
    call = toy.begin()
    if way == "stream":
        chunks = stream(call, toy.open)
        next(chunks)
        chunks.close()
    else:
        achunks = astream(call, toy.aopen)
        await achunks.__anext__()
        await achunks.aclose()


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("strategy", [None, Cascade(LONG, accept=0.1)])
def test_a_reader_that_leaves_is_no_failure_of_the_model(way, strategy) -> None:
    records = []
    monitor = Monitor(records.append)
    toy = Toy({"weak": FINE, "strong": FINE}, strategy, options={"monitor": monitor})
    asyncio.run(leave_after_one_chunk(toy, way))
    toy.call.close()
    monitor.flush()
    (record,) = records
    assert (record.outcome, record.error, record.failures) == ("abandoned", None, ())
    assert [step["outcome"] for step in record.steps or ()] == (["accepted"] if strategy else [])
    assert toy.closed == ["weak"]


class Signing(ToyCall):
    def signed_chunks(self, chunks):
        return [f"{chunk}[{self.text}: {self.route}]" for chunk in chunks]

    def branch(self, attempts):
        return Signing(attempts, "a branch")


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_the_chunks_of_the_best_answer_carry_the_record_of_the_whole_call(way) -> None:
    class Toys(Toy):
        def begin(self, text="Why?", **turn):
            call = super().begin(text, **turn)
            self.call = Signing(call.attempts, text)
            return self.call

    toy = Toys({"a": "No.", "b": FINE}, BestOf(choose=LONG))
    toy.run(way)
    assert toy.shown == [f"{word} [Why?: b]" for word in FINE.split()]
    assert toy.call.attempts.is_committed


def test_what_comes_before_an_attempt_takes_none_of_its_time() -> None:
    waited = []

    class Limited(ToyCall):
        async def asked(self, ask):
            await asyncio.sleep(0.2)
            waited.append(self.route)
            return await super().asked(ask)

    toy = Toy({"weak": FINE}, options={"retry": RetrySettings(attempt_timeout_s=0.1)})
    call = Limited(toy.begin().attempts, "Why?")
    assert asyncio.run(adrive(call, toy.aask)) == FINE
    assert waited == ["weak"]


def test_an_answer_that_is_reported_twice_is_noted_once() -> None:
    toy = Toy({"weak": "No.", "strong": FINE}, Cascade(LONG, accept=0.9))
    toy.run("drive")
    toy.call.succeeded()
    assert toy.outcomes == [("weak", "rejected"), ("strong", "answered")]
