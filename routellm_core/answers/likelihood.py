"""`text_nll`: how probable a language model takes a text to be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from routellm_core._optional import require
from routellm_core.answers.pretrained import Pretrained
from routellm_core.errors import ConfigurationError
from routellm_core.routers._torch_models import batches_by_length

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LanguageModel", "TextNLL", "text_nll"]

_IGNORED = -100


@dataclass(frozen=True, slots=True, eq=False)
class TextNLL:
    """The negative log-likelihood of n texts.

    Parameters
    ----------
    nats
        Shape (n,), >= 0: the sum over a text's tokens, in natural units.
    n_tokens
        Shape (n,): the tokens that were scored.
    n_bytes
        Shape (n,): the text's length in UTF-8.
    """

    nats: NDArray[np.float64]
    n_tokens: NDArray[np.int64]
    n_bytes: NDArray[np.int64]

    @property
    def per_token(self) -> NDArray[np.float64]:
        """The mean over tokens, in nats; NaN for a text without tokens."""
        return _ratio(self.nats, self.n_tokens)

    @property
    def perplexity(self) -> NDArray[np.float64]:
        """The exponential of `per_token`."""
        return np.exp(self.per_token)

    @property
    def bits_per_byte(self) -> NDArray[np.float64]:
        """What may be compared between models of different tokenizers; NaN for an empty text."""
        return _ratio(self.nats / log(2.0), self.n_bytes)


class LanguageModel:
    """A causal language model on this machine, loaded at the first call.

    Parameters
    ----------
    model
        A folder, or "owner/name" on the Hugging Face Hub; "owner/name@REVISION" names a revision.
    device
        "cpu", "cuda" and so on; by default "cuda" where there is one.
    batch_size
        Texts per forward pass, at least 1.

    Raises
    ------
    ConfigurationError
        If `batch_size` is below 1.
    """

    def __init__(
        self, model: str | Path, *, device: str | None = None, batch_size: int = 8
    ) -> None:
        self.model = str(model)
        self._pretrained = Pretrained(
            model, auto_class="AutoModelForCausalLM", device=device, batch_size=batch_size
        )

    def _nats(self, texts: Sequence[str], prompts: Sequence[str]) -> list[tuple[float, int]]:
        """Return the sum over each text's tokens, and how many there are."""
        found: list[tuple[float, int]] = self._pretrained.use(
            lambda model, tokenizer: _measured(
                _rows(_encodable(texts), _encodable(prompts), model.config, tokenizer),
                model,
                batch_size=self._pretrained.batch_size,
            )
        )
        return found


def text_nll(
    texts: Sequence[str],
    *,
    model: LanguageModel | str,
    prompts: Sequence[str] | None = None,
) -> TextNLL:
    """Return the negative log-likelihood of texts under a language model.

    Low for a text that the model could have written itself. For the likelihood of an answer under
    the model that wrote it, which providers send with it, see `logprob`.

    Parameters
    ----------
    texts
        n texts: answers, or known answers to compare models by.
    model
        A name is as for `LanguageModel`, and the last two models made of names stay loaded.
    prompts
        What stands before each text and is not scored, in the form that the model reads (with its
        chat template, where it has one). None for nothing: the first token then follows the
        tokenizer's mark for the beginning, and is not scored where there is none.

    Returns
    -------
    Sums and counts, from which means are taken. The tokens are those of prompt and text on their
    own, as in a model that goes on where the prompt ends.

    Raises
    ------
    ConfigurationError
        If there are not as many prompts as texts, or a text is longer than the model reads. A
        prompt that is too long is cut at its beginning.
    CheckpointError
        If the model cannot be loaded.
    MissingDependencyError
        If torch or transformers is not installed.
    """
    if prompts is not None and len(prompts) != len(texts):
        raise ConfigurationError(
            f"`prompts` must be as many as the {len(texts)} texts, got {len(prompts)}."
        )
    model = _language_model(model) if isinstance(model, str) else model
    found = model._nats(texts, prompts or [""] * len(texts)) if len(texts) else []
    return TextNLL(
        nats=np.array([nats for nats, _ in found], dtype=np.float64),
        n_tokens=np.array([n for _, n in found], dtype=np.int64),
        n_bytes=np.array([len(text.encode("utf-8", "replace")) for text in texts], dtype=np.int64),
    )


class _Row(NamedTuple):
    """The tokens of a prompt and a text."""

    ids: list[int]
    n_scored: int
    """How many of them, the last ones, are scored."""


def _rows(texts: list[str], prompts: list[str], config: Any, tokenizer: Any) -> list[_Row]:
    limit = int(getattr(config, "max_position_embeddings", None) or tokenizer.model_max_length)
    rows = []
    for place, (text, prompt) in enumerate(zip(texts, prompts, strict=True)):
        before = list(tokenizer(prompt)["input_ids"]) or _beginning(tokenizer)
        own = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        if len(own) >= limit:
            raise ConfigurationError(
                f"Text {place} has {len(own)} tokens, and the model reads {limit} with what "
                "stands before. Shorten it, or take another model."
            )
        kept = before[max(0, len(before) + len(own) - limit) :]
        rows.append(_Row(kept + own, len(own) if kept else max(0, len(own) - 1)))
    return rows


def _encodable(texts: Sequence[str]) -> list[str]:
    """Return texts without lone surrogates, which no tokenizer takes."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]


def _beginning(tokenizer: Any) -> list[int]:
    # Models of the GPT-2 family read the mark of the end as that of the beginning.
    for mark in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if mark is not None:
            return [mark]
    return []


def _measured(rows: list[_Row], model: Any, *, batch_size: int) -> list[tuple[float, int]]:
    torch = require("torch", extra="torch")
    found = [(0.0, 0)] * len(rows)
    scored = [place for place, row in enumerate(rows) if row.n_scored]
    lengths = [len(rows[place].ids) for place in scored]
    for batch in batches_by_length(lengths, batch_size=batch_size):
        part = [scored[each] for each in batch]
        with torch.inference_mode():
            sums = _sums([rows[place] for place in part], model)
        for place, nats in zip(part, sums.tolist(), strict=True):
            found[place] = (nats, rows[place].n_scored)
    return found


def _sums(rows: list[_Row], model: Any) -> NDArray[np.float64]:
    """Return each row's nats in one forward pass: (n,)."""
    torch = require("torch", extra="torch")
    longest = max(len(row.ids) for row in rows)
    # Padded on the right, where no token of a causal model looks.
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full_like(ids, _IGNORED)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        length = len(row.ids)
        ids[number, :length] = torch.tensor(row.ids)
        mask[number, :length] = 1
        first = length - row.n_scored
        labels[number, first:length] = ids[number, first:length]
    logits = model(
        input_ids=ids.to(model.device), attention_mask=mask.to(model.device), use_cache=False
    ).logits
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2),
        labels[:, 1:].to(logits.device),
        ignore_index=_IGNORED,
        reduction="none",
    )
    return np.asarray(losses.double().sum(dim=1).cpu().numpy())


def _ratio(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    ratios: NDArray[np.float64] = np.divide(
        values, counts, out=np.full(len(values), np.nan), where=counts > 0
    )
    return ratios


@lru_cache(maxsize=2)
def _language_model(name: str) -> LanguageModel:
    return LanguageModel(name)
