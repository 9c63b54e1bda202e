"""Records by hand."""

from collections.abc import Callable

import pytest

from routellm_core import CallRecord


@pytest.fixture
def record() -> Callable[..., CallRecord]:
    def make(number: int = 1, **changes) -> CallRecord:
        return CallRecord(
            **{
                "call_id": f"call-{number}",
                "started_at": 1_700_000_000.25 + number,
                "outcome": "answered",
                "route": "weak",
                "model": "small",
                "reason": "win_rate",
                "decided_route": "weak",
                "decided_reason": "win_rate",
                "win_rate": 0.1 + 0.2,
                "threshold": 0.5,
                "router": "scripted",
                "strong_model": "big",
                "weak_model": "small",
                **changes,
            }
        )

    return make
