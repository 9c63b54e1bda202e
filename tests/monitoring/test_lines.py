"""A line made in haste says what the record says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routellm_core import CallRecord, Decision, Price, Usage
from routellm_core.monitoring.endings import Ending, Pricing, RecordMaker
from routellm_core.monitoring.lines import LineMaker
from routellm_core.types import CacheNote

PRICES = {"big": Price("big", 2.5e-6, 1e-5, 2.5e-7), "small": Price("small", 1.5e-7, 6e-7)}
MAKERS = [
    RecordMaker(Pricing({**PRICES, "unknown": None}), router_usd, b"k" * 32, keep)  # type: ignore[dict-item]
    for router_usd, keep in [(0.0, 0), (0.00002, 40)]
]
EXACT = {"win_rate", "threshold"}
SECONDS = st.floats(0.0, 1e4)
TOKENS = st.none() | st.integers(0, 10**7)
NAMES = st.sampled_from(["big", "small", "unknown"])


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    return Decision(
        draw(st.sampled_from(["strong", "weak"])),
        draw(NAMES),
        draw(st.none() | st.floats(0.0, 1.0)),
        draw(st.none() | st.floats(0.0, 1.0)),
        draw(st.text(max_size=5)),
        draw(st.sampled_from(["win_rate", "sticky", "router_error:E\n"])),
        cache=draw(st.none() | st.just(CacheNote("small", 0.5, -0.25, is_estimated=True))),
    )


@st.composite
def endings(draw: st.DrawFn) -> Ending:
    model = st.none() | st.text(max_size=5)
    usage = st.builds(Usage, TOKENS, TOKENS, model, TOKENS)
    usage |= st.builds(Usage, TOKENS, TOKENS, model, TOKENS, TOKENS)
    return Ending(
        number=draw(st.integers(1, 10**9)),
        started_at=draw(st.floats(1.7e9, 2.5e9)),
        outcome=draw(st.sampled_from(["answered", "failed", "abandoned", "refused"])),
        decision=draw(decisions()),
        decided=draw(decisions()),
        strong_model="big",
        weak_model=draw(NAMES),
        checkpoint=draw(st.none() | st.just("abc")),
        decision_s=draw(SECONDS),
        call_s=draw(SECONDS),
        first_chunk_s=draw(st.none() | SECONDS),
        attempts=draw(st.integers(0, 5)),
        failures=draw(st.just(()) | st.just(("weak:E", "weak:\u2028"))),
        error=draw(st.none() | st.just("E")),
        partial=draw(st.booleans()),
        usage=draw(st.none() | usage),
        text=draw(st.text(max_size=60)),
        more_tokens=draw(st.none() | st.floats(-1e6, 1e6)),
    )


@pytest.mark.parametrize("maker", MAKERS, ids=["free", "paid, prompts kept"])
@given(several=st.lists(endings(), min_size=1, max_size=5))
def test_a_line_says_what_the_record_says(maker: RecordMaker, several: list[Ending]) -> None:
    lines = LineMaker(maker)
    for ending in [*several, *several]:
        line = lines.line(ending)
        assert "\n" not in line
        line.encode("ascii")
        found, expected = CallRecord.from_json(line).values(), maker.record(ending).values()
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, float) and name not in EXACT:
                # Both round to a thousandth of the last digit that means something.
                assert found[name] == pytest.approx(value, rel=1e-9, abs=1.01e-4), name
            else:
                assert found[name] == value, name


def test_many_models_do_not_make_the_memory_grow() -> None:
    lines = LineMaker(MAKERS[0])
    decision = Decision("weak", "small", 0.2, 0.5, "mf", "win_rate")
    for number in range(2_000):
        usage = Usage(1, 1, f"small-{number}")
        lines.line(_ending(decision, usage))
    assert len(lines._shared) <= 256


def _ending(decision: Decision, usage: Usage) -> Ending:
    return Ending(
        1, 1.7e9, "answered", decision, decision, "big", "small", None, 0.0, 1.0, None, 1, (),
        None, False, usage, "Why?",
    )  # fmt: skip
