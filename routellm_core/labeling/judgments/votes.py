"""People's votes on pairs of answers, as `lmsys/mt_bench_human_judgments` publishes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routellm_core.data.messages import LoggedMessages
from routellm_core.data.outcomes import check_names, model_field, number_field
from routellm_core.data.rows import parse_rows
from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routellm_core.data.rows import RowReport, RowSource

__all__ = ["Judgments", "Vote", "read_judgments"]

_NEEDED = ("model_a", "model_b", "winner")
_WINNERS = ("model_a", "model_b", "tie", "tie (bothbad)", "tie (inconsistent)")
_SCORES = {"model_a": 1.0, "model_b": 0.0}


@dataclass(frozen=True, slots=True)
class Vote:
    """One judge's verdict on two answers to one question.

    Parameters
    ----------
    question
        The question's identifier.
    turn
        Which of the user's messages was answered, from 1.
    prompt
        That message.
    model_a, model_b
        Who answered.
    score_a
        1 where a's answer is better, 0 where b's is, 0.5 for a tie.
    judge
        Who voted; "" where the row does not say.
    category
        What kind of question it is; "" where the row does not say.
    """

    question: str
    turn: int
    prompt: str
    model_a: str
    model_b: str
    score_a: float
    judge: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Judgments:
    """Votes, and where they come from.

    Parameters
    ----------
    votes
        In the order of their source.
    models
        Who was voted on, sorted.
    report
        What was read, and which rows were bad.
    """

    votes: tuple[Vote, ...]
    models: tuple[str, ...]
    report: RowReport

    def __len__(self) -> int:
        return len(self.votes)

    @property
    def judges(self) -> tuple[str, ...]:
        """Who voted, sorted."""
        return tuple(sorted({vote.judge for vote in self.votes}))


def read_judgments(source: RowSource) -> Judgments:
    """Read votes on pairs of answers.

    A row has `model_a`, `model_b` and `winner` ("model_a", "model_b", "tie", "tie (bothbad)" or
    "tie (inconsistent)"); the question in `conversation_a`, a list of messages, or in `prompt`; and
    maybe `question_id` (by default the prompt), `turn` (by default 1), `judge` and `category`. In a
    table `conversation_a` is JSON in a text.

    Parameters
    ----------
    source
        A file ending in .jsonl, .json, .csv, .tsv or .parquet, the name of a data set on the
        Hugging Face Hub, or the rows themselves.

    Raises
    ------
    DataError
        If the source cannot be read or holds no usable row.

    Examples
    --------
    >>> said = {"role": "user", "content": "What is 1 + 1?"}
    >>> row = {"question_id": 81, "model_a": "x", "model_b": "y", "winner": "model_a",
    ...        "judge": "expert_1", "conversation_a": [said], "turn": 1}
    >>> read_judgments([row]).votes[0].prompt
    'What is 1 + 1?'
    """
    votes: list[Vote] = []
    prompts: dict[tuple[str, int], str] = {}

    def parse(row: Mapping[str, Any], _: int) -> None:
        vote = _vote(row)
        known = prompts.setdefault((vote.question, vote.turn), vote.prompt)
        if known != vote.prompt:
            raise DataError(
                f"question {vote.question!r} has another text in turn {vote.turn} of an earlier "
                "row."
            )
        votes.append(vote)

    report = parse_rows(source, parse, strict=False)
    models = check_names({model for vote in votes for model in (vote.model_a, vote.model_b)})
    return Judgments(tuple(votes), models, report)


def _vote(row: Mapping[str, Any]) -> Vote:
    lacking = [name for name in _NEEDED if name not in row]
    if lacking:
        raise DataError(
            f"the row has no `{'` and no `'.join(lacking)}`. Its fields: "
            f"{', '.join(map(str, row))}."
        )
    model_a, model_b = model_field(row, "model_a"), model_field(row, "model_b")
    if model_a == model_b:
        raise DataError(f"`model_a` and `model_b` must differ, got {model_a!r} for both.")
    winner = row.get("winner")
    if winner not in _WINNERS:
        raise DataError(f"`winner` must be one of {', '.join(_WINNERS)}, got {winner!r}.")
    turn = _turn(row)
    prompt = _prompt(row, turn)
    return Vote(
        question=_name(row.get("question_id")) or prompt,
        turn=turn,
        prompt=prompt,
        model_a=model_a,
        model_b=model_b,
        score_a=_SCORES.get(str(winner), 0.5),
        judge=_name(row.get("judge")),
        category=_name(row.get("category")),
    )


def _turn(row: Mapping[str, Any]) -> int:
    if row.get("turn") in (None, ""):
        return 1
    turn = number_field(row, "turn", low=1.0, high=1e6)
    if turn != int(turn):
        raise DataError(f"`turn` must be a whole number from 1 on, got {row['turn']!r}.")
    return int(turn)


def _prompt(row: Mapping[str, Any], turn: int) -> str:
    """Return the user's message of a turn."""
    prompt = row.get("prompt")
    if isinstance(prompt, str) and prompt.strip():
        return prompt.strip()
    conversation = row.get("conversation_a")
    if isinstance(conversation, str):
        try:
            conversation = json.loads(conversation)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"`conversation_a` must be a JSON list of messages: {error}."
            ) from error
    if not isinstance(conversation, list):
        found = "nothing" if conversation is None else type(conversation).__name__
        raise DataError(f"`conversation_a` must be a list of messages, got {found}.")
    view = LoggedMessages()
    said = [
        view.text(message).strip()
        for message in conversation
        if isinstance(message, dict) and view.role(message) == "user"
    ]
    if len(said) < turn or not said[turn - 1]:
        raise DataError(
            f"`conversation_a` must hold the user's message of turn {turn}, got {len(said)} of "
            "the user's messages."
        )
    return said[turn - 1]


def _name(value: Any) -> str:
    """Return a name or a number as text; a judge may be named by a list, model and template."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()
