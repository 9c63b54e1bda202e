"""The models that a call may go to, in one table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from routellm_core.errors import ConfigurationError, did_you_mean
from routellm_core.experts.capabilities import Capabilities
from routellm_core.experts.variants import EFFORT_SETTINGS, distinct_labels, sets_effort

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Expert", "ExpertTable", "check_answer_tokens"]

_PAIR = ("weak", "strong")


@dataclass(frozen=True, slots=True)
class Expert:
    """A model under the name by which calls are routed to it.

    Parameters
    ----------
    name
        The route: "strong", "weak", or any other name without blanks around it.
    model
        The model's own name, for records and prices.
    capabilities
        What the model can take.
    settings
        Arguments of every call that make this expert of the model; see `Variant`.
    answer_tokens
        Tokens that an answer is expected to have, those of reasoning included; None if not known.
    label
        What records call the model: its name, with the settings by which a table tells it from
        another expert of the same model. A table sets it.
    """

    name: str
    model: str
    capabilities: Capabilities = field(default_factory=Capabilities)
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    answer_tokens: float | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or self.name != self.name.strip():
            raise ConfigurationError(
                f"An expert's name must be a text without blanks around it, got {self.name!r}."
            )
        if not self.label:
            object.__setattr__(self, "label", self.model)


class ExpertTable:
    """Experts in the order of their price, the cheapest first.

    The last is the reference: what savings are measured against. A pair of models is the table of
    the experts "weak" and "strong", in this order.

    Parameters
    ----------
    experts
        At least one; their names differ.

    Raises
    ------
    ConfigurationError
        If there is none, or two have one name.

    Examples
    --------
    >>> table = ExpertTable.of_pair(strong_model="gpt-4o", weak_model="gpt-4o-mini")
    >>> table.names, table.reference.model, table.is_pair
    (('weak', 'strong'), 'gpt-4o', True)
    >>> table.after("weak")
    ('strong',)
    """

    __slots__ = (
        "_after", "_by_name", "_experts", "answer_tokens", "cheapest", "differs_by_effort",
        "is_pair", "names", "reference",
    )  # fmt: skip

    def __init__(self, experts: Iterable[Expert]) -> None:
        self._experts = _labelled(tuple(experts))
        if not self._experts:
            raise ConfigurationError("At least one expert is needed, got none.")
        self.names = tuple(expert.name for expert in self._experts)
        """The experts' names, in the table's order."""
        self._by_name = dict(zip(self.names, self._experts, strict=True))
        if len(self._by_name) < len(self._experts):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ConfigurationError(f"Two experts have the name {twice!r}; names must differ.")
        self._after = {name: self.names[n + 1 :] for n, name in enumerate(self.names)}
        self.cheapest = self._experts[0]
        self.reference = self._experts[-1]
        self.is_pair = self.names == _PAIR
        """Whether these are the experts "weak" and "strong", between which a win rate decides."""
        self.differs_by_effort = _differs_by_effort(self._experts)
        """Whether all are one model, and only how much it is to think tells them apart."""
        self.answer_tokens: Mapping[str, float] = {
            e.label: e.answer_tokens for e in self._experts if e.answer_tokens is not None
        }
        """Expected tokens of an answer by the expert's label, as far as they are known."""

    @classmethod
    def of_pair(
        cls,
        *,
        strong_model: str,
        weak_model: str,
        strong: Capabilities | None = None,
        weak: Capabilities | None = None,
    ) -> ExpertTable:
        """Return the table of a strong and a weak model.

        Parameters
        ----------
        strong_model, weak_model
            The models' names.
        strong, weak
            What they can take; None when nothing is known.
        """
        return cls(
            (
                Expert("weak", weak_model, weak or Capabilities()),
                Expert("strong", strong_model, strong or Capabilities()),
            )
        )

    @property
    def small_window(self) -> int | None:
        """The smallest of the context windows, in tokens, as far as they are known."""
        windows = [expert.capabilities.context_window for expert in self._experts]
        return min((window for window in windows if window is not None), default=None)

    def with_answer_tokens(self, tokens: Mapping[str, float]) -> ExpertTable:
        """Return the table with expected tokens of an answer, by the experts' names.

        Raises
        ------
        ConfigurationError
            If a name is no expert's, or a number is not at least 0.
        """
        check_answer_tokens(tokens, routes=self.names)
        return ExpertTable(
            replace(expert, answer_tokens=float(tokens[expert.name]))
            if expert.name in tokens
            else expert
            for expert in self._experts
        )

    def more_tokens(self, name: str) -> float | None:
        """Return how many more tokens than an expert the reference is expected to write.

        Returns
        -------
        0 where nothing says that another model would write more or less; None where it is the same
        model with other settings, and nobody knows how much that is.
        """
        expert, reference = self._by_name[name], self.reference
        if expert is reference:
            return 0.0
        if expert.answer_tokens is not None and reference.answer_tokens is not None:
            return reference.answer_tokens - expert.answer_tokens
        return None if expert.model == reference.model and expert.label != reference.label else 0.0

    def own_effort(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether a call's arguments make the experts the same.

        They do where they say how much to think, and the experts differ in nothing else.
        """
        return self.differs_by_effort and sets_effort(arguments)

    def after(self, name: str) -> tuple[str, ...]:
        """Return the names of the experts that follow this one in the table."""
        return self._after[name]

    def check(self, name: str, *, argument: str = "expert") -> str:
        """Return the name of an expert.

        Raises
        ------
        ConfigurationError
            If no expert has it.
        """
        if name not in self._by_name:
            hint = did_you_mean(name, list(self.names)) if isinstance(name, str) else ""
            raise ConfigurationError(
                f"`{argument}` must be one of {', '.join(map(repr, self.names))}, got {name!r}."
                f"{hint}"
            )
        return name

    def __getitem__(self, name: str) -> Expert:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Expert]:
        return iter(self._experts)

    def __len__(self) -> int:
        return len(self._experts)

    def __repr__(self) -> str:
        shown = ", ".join(f"{expert.name}={expert.label!r}" for expert in self._experts)
        return f"ExpertTable({shown})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExpertTable) and self._experts == other._experts

    def __hash__(self) -> int:
        return hash(self._experts)


def check_answer_tokens(tokens: Mapping[str, float] | None, *, routes: Sequence[str]) -> None:
    """Refuse what is not expected tokens of answers by expert.

    Raises
    ------
    ConfigurationError
        If it is no mapping of experts to numbers of at least 0.
    """
    if tokens is None:
        return
    if not isinstance(tokens, Mapping) or not tokens.keys() <= set(routes):
        raise ConfigurationError(
            f"`answer_tokens` must map some of {', '.join(map(repr, routes))} to the tokens of an "
            f"answer, got {tokens!r}."
        )
    for name, number in tokens.items():
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not (is_number and 0.0 <= number < math.inf):
            raise ConfigurationError(
                f"`answer_tokens` of {name!r} must be at least 0, got {number!r}."
            )


def _labelled(experts: tuple[Expert, ...]) -> tuple[Expert, ...]:
    if len({expert.model for expert in experts}) == len(experts):
        return experts
    labels = distinct_labels([(expert.model, expert.settings) for expert in experts])
    return tuple(
        replace(expert, label=label) for expert, label in zip(experts, labels, strict=True)
    )


def _differs_by_effort(experts: Sequence[Expert]) -> bool:
    first = experts[0]
    if len(experts) == 1 or any(expert.model != first.model for expert in experts):
        return False
    others = [
        {name: value for name, value in expert.settings.items() if name not in EFFORT_SETTINGS}
        for expert in experts
    ]
    return len({expert.label for expert in experts}) > 1 and all(o == others[0] for o in others)
