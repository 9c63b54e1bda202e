"""`consistency`: whether a model says the same thing when it is asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from routellm_core.answers.final_answers import choice_of, final_answer, number_of, words_of
from routellm_core.answers.similarity import bert_sim, embedder_of
from routellm_core.answers.steps import Invocation, Request
from routellm_core.answers.verifier import Score, Verifier
from routellm_core.errors import ConfigurationError, VerifierError, did_you_mean

if TYPE_CHECKING:
    from routellm_core.answers.content import Answer, Prompt
    from routellm_core.answers.steps import Ask, Plan
    from routellm_core.embedders import Embedder

__all__ = ["Agreement", "Similarity", "consistency"]

Agreement = Literal["answer", "text", "number", "choice", "similarity"]

Similarity: TypeAlias = "Callable[[Sequence[str], Sequence[str]], Any]"
"""Takes n candidates and n references, and returns n numbers, 1 for texts of one meaning."""

_SAME: dict[str, Callable[[str], object]] = {
    "answer": final_answer,
    "text": words_of,
    "number": number_of,
    "choice": choice_of,
}


def consistency(
    k: int = 5,
    *,
    by: Agreement = "answer",
    temperature: float = 0.7,
    max_tokens: int | None = None,
    embedder: Embedder | str = "bundled",
    similarity: Similarity | None = None,
    model: Any = None,
    ask: Ask | None = None,
) -> Verifier:
    """Score an answer by the share of further answers to its prompt that agree with it.

    Parameters
    ----------
    k
        How many further answers are drawn, at least 1.
    by
        When two answers agree:

        - "answer": they come down to the same number, letter, or last line (see `final_answer`).
          Where the scored answer comes down to nothing, as "similarity".
        - "text": they are equal in letters and digits, without case.
        - "number": their last numbers are equal.
        - "choice": they choose the same letter.
        - "similarity": as far as they are similar, in the mean, negative similarities as 0.
    temperature, max_tokens
        Of the further answers.
    embedder
        For "similarity": what `bert_sim` takes.
    similarity
        In place of `bert_sim`: for example the F1 of `bert_score`.
    model
        Whom to ask; None for the model that wrote the answer. What it may be is between you and
        `ask`.
    ask
        Asks; by default the function that the score is asked with.

    Returns
    -------
    A verifier whose score is an estimate of a share with standard error sqrt(p (1 - p) / k): 0.22
    for k = 5 at a half. Calibrate it before it is taken for a probability.

    Raises
    ------
    ConfigurationError
        If an argument cannot be used.

    References
    ----------
    Wang et al., Self-consistency, arXiv:2203.11171, which answers with the largest class of the
    samples. Departure: the score is the share of the scored answer's own class. The share of the
    largest class says how sure the model is of *some* answer: it is 1 where all samples contradict
    the answer that is about to be given out. The two are equal where the answer is of the largest
    class, so that nothing is lost there. The scored answer does not count as a sample, since it
    always agrees with itself.

    Examples
    --------
    >>> verifier = consistency(3, ask=lambda request: ["So it's 4.", "4", "5"][request.sample])
    >>> verifier.score("2 + 2?", "The answer is 4.").reason
    '1 of 3 agree (answer)'
    """
    known = list(get_args(Agreement))
    if by not in known:
        raise ConfigurationError(
            f"Unknown agreement {by!r}.{did_you_mean(str(by), known)} Known: {', '.join(known)}."
        )
    if not isinstance(k, int) or k < 1:
        raise ConfigurationError(f"`k` must be a whole number of at least 1, got {k!r}.")
    if not 0.0 <= temperature <= 2.0:
        raise ConfigurationError(f"`temperature` must lie in [0, 2], got {temperature!r}.")
    requests = [
        Request((), model, temperature, max_tokens, purpose="sample", sample=n, ask=ask)
        for n in range(k)
    ]
    if similarity is None:
        chosen = embedder_of(embedder) if by == "similarity" else embedder

        def similarity(left: Sequence[str], right: Sequence[str]) -> Any:
            return bert_sim(left, right, embedder=chosen)

    return _Consistency(requests, by, similarity)


class _Consistency(Verifier):
    name = "consistency"

    def __init__(self, requests: Sequence[Request], by: Agreement, similarity: Similarity) -> None:
        self._requests, self._by, self._similarity = requests, by, similarity

    def _plan(self, prompt: Prompt, answer: Answer) -> Plan[Score]:
        said = _SAME[self._by](answer.text) if self._by != "similarity" else None
        if said is None and self._by in ("number", "choice"):
            # Nothing is drawn: no further answer could agree.
            return Score(0.0, f"no {self._by} to agree on")
        conversation = prompt.conversation()
        samples = yield [_with_messages(request, conversation) for request in self._requests]
        texts = [sample.text for sample in samples]
        if said is None:
            (similar,) = yield [Invocation(self._similarity, ([answer.text] * len(texts), texts))]
            return self._mean(similar, len(texts))
        agree = sum(_SAME[self._by](text) == said for text in texts)
        return Score(agree / len(texts), f"{agree} of {len(texts)} agree ({self._by})")

    def _mean(self, similar: Any, n: int) -> Score:
        values = np.asarray(similar, dtype=np.float64)
        if values.shape != (n,) or not np.isfinite(values).all():
            raise VerifierError(
                f"`similarity` must return {n} finite numbers, got shape {values.shape}."
            )
        value = float(np.clip(values, 0.0, 1.0).mean())
        return Score(value, f"mean similarity to {n} answers")


def _with_messages(request: Request, messages: Any) -> Request:
    return Request(
        messages, request.model, request.temperature, request.max_tokens, request.top_logprobs,
        request.purpose, request.sample, request.ask,
    )  # fmt: skip
