"""What every router must keep."""

from __future__ import annotations

import asyncio
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.errors import ConfigurationError, PromptError
from routellm_core.routers.registry import router_class, router_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from routellm_core.routers.base import Router
    from routellm_core.types import WinRates

__all__ = ["ROUTER_CHECKS"]

_PROMPTS = [
    "Hello!",
    "What is the capital of France?",
    "Prove that there are infinitely many primes.",
    "Qual é a capital do Brasil?",
    "解释量子纠缠。",
    "def f(x):\n    return x ** 2",
]
_ODD_PROMPTS = ["", " \n\t", "😀" * 50, "\ud800 lone surrogate", "a\x00b", "مرحبا", "x" * 200_000]


def check_win_rates_are_probabilities(router: Router) -> None:
    """Ask for shape (n,), float64, finite and in [0, 1]."""
    win_rates = router.win_rates(_PROMPTS)
    _expect(win_rates.shape == (len(_PROMPTS),), f"shape {win_rates.shape}")
    _expect(win_rates.dtype == np.float64, f"dtype {win_rates.dtype}")
    bad = bad_number(win_rates, low=0.0, high=1.0)
    _expect(not bad, f"{bad} outside [0, 1]")


def check_no_prompts_give_no_win_rates(router: Router) -> None:
    """Ask for an empty answer to an empty batch."""
    _expect(router.win_rates([]).shape == (0,), "no prompts must give shape (0,)")


def check_a_batch_equals_its_prompts_alone(router: Router) -> None:
    """Ask for the same win rates in a batch, alone, reversed and a second time."""
    batch = router.win_rates(_PROMPTS)
    alone = np.array([router.win_rate(prompt) for prompt in _PROMPTS])
    _expect_equal(alone, batch, "one by one")
    _expect_equal(router.win_rates(_PROMPTS[::-1])[::-1], batch, "in reverse order")
    _expect_equal(router.win_rates(_PROMPTS), batch, "the second time")


def check_async_equals_sync(router: Router) -> None:
    """Ask for the same win rates from the async methods."""

    async def score() -> tuple[WinRates, float]:
        return await router.awin_rates(_PROMPTS), await router.awin_rate(_PROMPTS[0])

    # A thread of its own, because the caller may be inside a running event loop.
    with ThreadPoolExecutor(1) as pool:
        batch, single = pool.submit(lambda: asyncio.run(score())).result()
    _expect_equal(batch, router.win_rates(_PROMPTS), "async")
    _expect_equal(np.array([single]), batch[:1], "async and alone")


def check_threads_agree(router: Router) -> None:
    """Ask for the same win rates from eight threads at once."""
    expected = router.win_rates(_PROMPTS)
    with ThreadPoolExecutor(8) as pool:
        for win_rates in pool.map(lambda _: router.win_rates(_PROMPTS), range(16)):
            _expect_equal(win_rates, expected, "in a thread")


def check_odd_prompts_are_scored(router: Router) -> None:
    """Ask for a win rate for blank, huge, broken and foreign texts."""
    for prompt in _ODD_PROMPTS:
        win_rate = router.win_rate(prompt)
        _expect(0.0 <= win_rate <= 1.0, f"{prompt[:20]!r} has win rate {win_rate!r}")


def check_what_is_no_prompt_is_refused(router: Router) -> None:
    """Ask for `PromptError` where a prompt is expected and something else comes."""
    wrong: list[Any] = ["one string", [None], ["fine", 3], None, [b"bytes"]]
    for prompts in wrong:
        try:
            router.win_rates(prompts)
        except PromptError:
            continue
        raise AssertionError(f"{prompts!r} must be refused with PromptError")


def check_prompts_are_not_mutated(router: Router) -> None:
    """Ask that the caller's list stays as it was."""
    prompts = list(_PROMPTS)
    router.win_rates(prompts)
    _expect(prompts == _PROMPTS, "the caller's prompts were changed")


def check_pickling_keeps_win_rates(router: Router) -> None:
    """Ask that a pickled router scores the same, as worker processes need."""
    copy = pickle.loads(pickle.dumps(router))  # noqa: S301 # nosec B301
    _expect_equal(copy.win_rates(_PROMPTS), router.win_rates(_PROMPTS), "after pickling")


def check_saving_keeps_win_rates(router: Router) -> None:
    """Ask that a saved and loaded router scores the same, if it can be saved at all."""
    with TemporaryDirectory() as folder:
        try:
            saved = router.save(Path(folder) / "checkpoint")
        except ConfigurationError:
            return
        embedder = getattr(router, "embedder", None) or getattr(router, "embedders", None)
        options = {"embedder": embedder} if embedder else {}
        loaded = type(router).load(saved, **options)
    _expect_equal(loaded.win_rates(_PROMPTS), router.win_rates(_PROMPTS), "after loading")


def check_it_is_documented(router: Router) -> None:
    """Ask for a name, and a docstring of the class's own."""
    _expect(bool(getattr(router, "name", "")), "a router needs a `name`")
    _expect(bool(type(router).__dict__.get("__doc__")), "a router's class needs a docstring")


def check_its_name_is_registered(router: Router) -> None:
    """Ask that the name leads to this class."""
    _expect(router.name in router_names(), f"{router.name!r} is not registered")
    found = router_class(router.name)
    _expect(found is type(router), f"{router.name!r} is registered as {found.__name__}")


ROUTER_CHECKS: tuple[Callable[[Router], None], ...] = (
    check_win_rates_are_probabilities,
    check_no_prompts_give_no_win_rates,
    check_a_batch_equals_its_prompts_alone,
    check_async_equals_sync,
    check_threads_agree,
    check_odd_prompts_are_scored,
    check_what_is_no_prompt_is_refused,
    check_prompts_are_not_mutated,
    check_pickling_keeps_win_rates,
    check_saving_keeps_win_rates,
    check_it_is_documented,
    check_its_name_is_registered,
)
"""Every router passes every one of these; each raises `AssertionError` when it does not."""


def _expect(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _expect_equal(got: WinRates, expected: WinRates, how: str) -> None:
    _expect(
        got.shape == expected.shape and bool(np.allclose(got, expected, rtol=0.0, atol=1e-6)),
        f"win rates differ {how}: {got} instead of {expected}",
    )
