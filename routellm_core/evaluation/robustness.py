"""How far a router's judgment moves when a prompt says the same in other words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from routellm_core.types import WinRates

__all__ = [
    "CHANGES",
    "STRONG_SHARE",
    "ChangedPrompts",
    "Robustness",
    "changed_prompts",
    "read_changed_prompts",
    "robustness",
]

CHANGES = ("typos", "case", "politeness")
"""The changes that are made here; paraphrases and translations are the caller's."""

STRONG_SHARE = 0.3
"""The share of the benchmark's prompts above the threshold at which flips are counted."""

_MOST_PROMPTS = 1000
_LETTERS_PER_TYPO = 40
_NAMED = "`prompt`, `changed` and `change` (as 'paraphrase' or 'translation')"

# What is put before and after a prompt, by the script of its first letter.
_COURTESIES = {
    "latin": (("Please help me with this: ", ""), ("Hello! ", " Thank you!"), ("", " Thanks.")),
    "cyrillic": (("Здравствуйте! ", " Спасибо!"), ("Пожалуйста, помогите: ", "")),
    "han": (("你好，请帮我一下：", ""), ("", "谢谢！")),
    "kana": (("すみません、お願いします。", ""), ("", "よろしくお願いします。")),
    "hangul": (("안녕하세요. ", " 감사합니다."), ("도와주세요: ", "")),
    "arabic": (("مرحبا، من فضلك: ", ""), ("", " شكرا جزيلا.")),
    "devanagari": (("नमस्ते, कृपया बताइए: ", ""), ("", " धन्यवाद।")),
}  # fmt: skip
_SCRIPTS = (
    ("cyrillic", "\u0400", "\u052f"),
    ("arabic", "\u0600", "\u06ff"),
    ("devanagari", "\u0900", "\u097f"),
    ("kana", "\u3040", "\u30ff"),
    ("han", "\u4e00", "\u9fff"),
    ("hangul", "\uac00", "\ud7af"),
)


@dataclass(frozen=True, slots=True)
class ChangedPrompts:
    """Pairs of prompts that ask for the same.

    Parameters
    ----------
    change
        What was changed: "typos", "case", "politeness", "paraphrase", "translation", ...
    before, after
        The prompts, pair by pair.
    """

    change: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Robustness:
    """What one change does to a router.

    Parameters
    ----------
    change
        What was changed.
    n
        Pairs.
    rank_change
        Mean distance between the ranks of the two win rates among those of the benchmark's
        prompts: 0 where nothing moves, 1/3 for win rates at random. Ties share a rank.
    flips
        Share of pairs on two sides of the threshold that the highest 30 % of the benchmark's win
        rates reach.
    before, after
        The win rates of the pairs: (n,) each.
    """

    change: str
    n: int
    rank_change: float
    flips: float
    before: tuple[float, ...]
    after: tuple[float, ...]


def changed_prompts(prompts: Sequence[str], *, seed: int = 0) -> tuple[ChangedPrompts, ...]:
    """Return prompts with typing errors, in another case, and with courtesy.

    The draws of a prompt depend on the seed and its text alone. A prompt that a change leaves as
    it was, as Chinese in capitals, is left out.

    Parameters
    ----------
    prompts
        Of more than 1,000 prompts a sample of as many is taken.
    seed
        Of the sample and the changes.

    Examples
    --------
    >>> [changed.change for changed in changed_prompts(["What is seven plus five?"])]
    ['typos', 'case', 'politeness']
    """
    if len(prompts) > _MOST_PROMPTS:
        rng = np.random.default_rng(seed)
        places = np.sort(rng.choice(len(prompts), _MOST_PROMPTS, replace=False))
        prompts = [prompts[place] for place in places]
    made = {"typos": _with_typos, "case": _in_other_case, "politeness": _with_courtesy}
    found = []
    for change in CHANGES:
        pairs = [(text, made[change](text, _draws(text, seed))) for text in prompts]
        found.append(_of_pairs(change, [pair for pair in pairs if pair[0] != pair[1]]))
    return tuple(changed for changed in found if changed.before)


def read_changed_prompts(path: str | Path) -> tuple[ChangedPrompts, ...]:
    """Read pairs of prompts from JSON lines with `prompt`, `changed` and `change`.

    Raises
    ------
    DataError
        If the file cannot be read, or a line has no such fields.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise DataError(f"{str(path)!r} cannot be read: {reason}.") from error
    pairs: dict[str, list[tuple[str, str]]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        prompt, changed, change = _fields(line, f"Line {number} of {str(path)!r}")
        pairs.setdefault(change, []).append((prompt, changed))
    if not pairs:
        raise DataError(f"{str(path)!r} is empty: it must hold pairs of prompts, one a line.")
    return tuple(_of_pairs(change, found) for change, found in pairs.items())


def _fields(line: str, where: str) -> tuple[str, str, str]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise DataError(f"{where} is no JSON object: it must be one with {_NAMED}.")
    values = [row.get(name) for name in ("prompt", "changed", "change")]
    if not all(isinstance(value, str) and value.strip() for value in values):
        raise DataError(f"{where} must hold {_NAMED}, each a text: one is missing.")
    prompt, changed, change = map(str, values)
    return prompt, changed, change


def robustness(
    change: str, before: WinRates, after: WinRates, *, benchmark: WinRates
) -> Robustness:
    """Compare the win rates of pairs of prompts.

    Parameters
    ----------
    change
        What was changed.
    before, after
        (n,) each, n > 0.
    benchmark
        The win rates among which ranks are taken: (m,), m > 0.

    Examples
    --------
    >>> import numpy as np
    >>> rates = np.linspace(0.0, 1.0, 11)
    >>> found = robustness("case", rates, rates[::-1], benchmark=rates)
    >>> round(found.rank_change, 3), round(found.flips, 3)
    (0.496, 0.727)
    """
    ordered = np.sort(benchmark)
    threshold = np.quantile(ordered, 1.0 - STRONG_SHARE, method="higher")
    moved = np.abs(_ranks(ordered, before) - _ranks(ordered, after))
    flipped = (before >= threshold) != (after >= threshold)
    return Robustness(
        change=change,
        n=before.size,
        rank_change=float(moved.mean()),
        flips=float(flipped.mean()),
        before=tuple(before.tolist()),
        after=tuple(after.tolist()),
    )


def _ranks(ordered: WinRates, win_rates: WinRates) -> WinRates:
    below = np.searchsorted(ordered, win_rates, side="left")
    up_to = np.searchsorted(ordered, win_rates, side="right")
    return (below + up_to) / (2.0 * ordered.size)


def _of_pairs(change: str, pairs: Iterable[tuple[str, str]]) -> ChangedPrompts:
    pairs = tuple(pairs)
    return ChangedPrompts(change, tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))


def _draws(text: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, *text.encode("utf-8", "replace")[:256]])


def _with_typos(text: str, rng: np.random.Generator) -> str:
    """Swap, drop or double one letter within words, about every forty letters, at least one."""
    letters = list(text)
    inner = [
        place
        for place in range(1, len(text) - 1)
        if text[place - 1].isalpha() and text[place].isalpha() and text[place + 1].isalpha()
    ]
    if not inner:
        return text
    n = min(max(1, len(inner) // _LETTERS_PER_TYPO), len(inner))
    for place in rng.choice(inner, n, replace=False):
        kind = rng.integers(3)
        if kind == 0:
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        else:
            letters[place] = "" if kind == 1 else letters[place] * 2
    return "".join(letters)


def _in_other_case(text: str, rng: np.random.Generator) -> str:
    """Write in small letters or in capitals."""
    lower, upper = text.lower(), text.upper()
    first, second = (lower, upper) if rng.random() < 0.5 else (upper, lower)
    return first if first != text else second


def _with_courtesy(text: str, rng: np.random.Generator) -> str:
    courtesies = _COURTESIES[_script(text)]
    before, after = courtesies[rng.integers(len(courtesies))]
    return f"{before}{text}{after}"


def _script(text: str) -> str:
    """Return the script of a text's first letter; "kana" if Japanese letters follow Chinese."""
    letter = next((character for character in text if character.isalpha()), "a")
    found = next((name for name, low, high in _SCRIPTS if low <= letter <= high), "latin")
    if found == "han" and any("\u3040" <= character <= "\u30ff" for character in text[:200]):
        return "kana"
    return found
