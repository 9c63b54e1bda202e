"""`bert_score`: how well two texts match, token by token."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from routellm_core._optional import require
from routellm_core.answers.pretrained import Pretrained
from routellm_core.embedders.base import unit_rows
from routellm_core.embedders.texts import clean_texts
from routellm_core.errors import ConfigurationError
from routellm_core.routers._torch_models import batches_by_length, encoder_limit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["BERTScores", "Baseline", "TokenEncoder", "bert_score"]

Baseline: TypeAlias = "Literal['published'] | tuple[float, float, float]"
"""What unrelated texts score, as (precision, recall, F1)."""

# The layer of the best correlation with human judgment, by model.
_LAYERS = {
    "bert-base-multilingual-cased": 9,
    "bert-base-uncased": 9,
    "deberta-base-mnli": 9,
    "deberta-xlarge-mnli": 40,
    "distilbert-base-uncased": 5,
    "distilroberta-base": 5,
    "roberta-large": 17,
}
# Of English sentences put together at random, at these layers.
_BASELINES = {
    "bert-base-uncased": (0.35375935, 0.3537393, 0.35219112),
    "deberta-xlarge-mnli": (0.5169066, 0.5170288, 0.5150192),
    "distilbert-base-uncased": (0.6666034, 0.66660464, 0.66620487),
    "distilroberta-base": (0.84732, 0.84759504, 0.8473319),
    "roberta-large": (0.83150584, 0.8314941, 0.83122575),
}


@dataclass(frozen=True, slots=True, eq=False)
class BERTScores:
    """How well each of n candidates matches its reference.

    Parameters
    ----------
    precision
        Shape (n,): how well the candidate's tokens are matched by the reference's; 1 for equal
        texts.
    recall
        Shape (n,): how well the reference's tokens are matched by the candidate's.
    f1
        Shape (n,): 2 P R / (P + R); 0 where P + R is 0.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


class _Encoded(NamedTuple):
    """A text's t tokens."""

    ids: list[int]
    vectors: NDArray[np.float32]
    """Shape (t, d), of length 1."""
    marks: frozenset[int]
    """The tokens that stand at the ends of every text."""


class TokenEncoder:
    """The vectors of a text's tokens, at one layer of an encoder.

    The model is loaded at the first call. A text longer than the model reads (often 512 tokens) is
    cut at its end.

    Parameters
    ----------
    model
        A folder, or "owner/name" on the Hugging Face Hub, for example "FacebookAI/roberta-large";
        "owner/name@REVISION" names a revision.
    layer
        Which hidden states are compared: 0 for the embeddings, 1 for the first layer's output, and
        so on. By default the one that `bert-score` takes for a model of this name.
    device
        "cpu", "cuda" and so on; by default "cuda" where there is one.
    batch_size
        Texts per forward pass, at least 1.

    Raises
    ------
    ConfigurationError
        If `layer` is negative, or is left out for a model without a default; if `batch_size` is
        below 1.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        layer: int | None = None,
        device: str | None = None,
        batch_size: int = 32,
    ) -> None:
        self.model = str(model)
        self._name = Path(self.model).name.partition("@")[0]
        if layer is None and self._name not in _LAYERS:
            raise ConfigurationError(
                f"`layer` must be given for {self.model!r}: a whole number from 0 on. Only these "
                f"models have a default: {', '.join(_LAYERS)}."
            )
        self.layer = _LAYERS[self._name] if layer is None else layer
        if not isinstance(self.layer, int) or self.layer < 0:
            raise ConfigurationError(f"`layer` must be a whole number from 0 on, got {layer!r}.")
        self._pretrained = Pretrained(
            model, auto_class="AutoModel", device=device, batch_size=batch_size
        )

    @property
    def baseline(self) -> tuple[float, float, float]:
        """The published baseline of this model and layer.

        Raises
        ------
        ConfigurationError
            If none is known.
        """
        if self._name not in _BASELINES or self.layer != _LAYERS[self._name]:
            raise ConfigurationError(
                f"No baseline is known for layer {self.layer} of {self.model!r}. Pass three "
                "numbers: the precision, the recall and the F1 that unrelated texts have in the "
                f"mean. Known are: {', '.join(_BASELINES)}."
            )
        return _BASELINES[self._name]

    def _encode(self, texts: Sequence[str]) -> list[_Encoded]:
        encoded: list[_Encoded] = self._pretrained.use(
            lambda model, tokenizer: self._encoded(clean_texts(texts), model, tokenizer)
        )
        return encoded

    def _encoded(self, texts: list[str], model: Any, tokenizer: Any) -> list[_Encoded]:
        torch = require("torch", extra="torch")
        n_layers = int(model.config.num_hidden_layers)
        if self.layer > n_layers:
            raise ConfigurationError(
                f"`layer` must be at most {n_layers} for {self.model!r}, got {self.layer}."
            )
        names = ("cls_token_id", "sep_token_id", "bos_token_id", "eos_token_id")
        marks = frozenset({getattr(tokenizer, name) for name in names} - {None})
        limit = encoder_limit(model.config, tokenizer)
        tokens = tokenizer([text.strip() for text in texts], truncation=True, max_length=limit)
        keys = [key for key in tokens if key in tokenizer.model_input_names]
        lengths = [len(ids) for ids in tokens["input_ids"]]
        found = {
            row: _Encoded([], np.zeros((0, 1), dtype=np.float32), marks)
            for row, length in enumerate(lengths)
            if not length
        }
        # Padding on the left moves a text to other positions, which not every model forgives.
        equal = tokenizer.padding_side == "left"
        for rows in batches_by_length(lengths, batch_size=self._pretrained.batch_size, equal=equal):
            rows = [row for row in rows if row not in found]
            if not rows:
                continue
            part = {key: [tokens[key][row] for row in rows] for key in keys}
            inputs = tokenizer.pad(part, return_tensors="pt").to(model.device)
            with torch.inference_mode():
                states = model(**inputs, output_hidden_states=True).hidden_states[self.layer]
            for row, vectors in zip(rows, states.float().cpu().numpy(), strict=True):
                ids = list(tokens["input_ids"][row])
                found[row] = _Encoded(ids, unit_rows(vectors[: len(ids)]), marks)
        return [found[row] for row in range(len(texts))]


def bert_score(
    candidates: Sequence[str],
    references: Sequence[str],
    *,
    encoder: TokenEncoder | str,
    idf: bool | Sequence[str] = False,
    baseline: Baseline | None = None,
) -> BERTScores:
    """Match the tokens of each candidate with those of its reference, by their vectors.

    Every token counts with its highest cosine to a token of the other text. It compares texts
    token by token, and is not `bert_sim`, which compares them as wholes.

    Parameters
    ----------
    candidates, references
        n texts each.
    encoder
        Makes the vectors; a name is as for `TokenEncoder`, and the last two encoders made of names
        stay loaded.
    idf
        Whether rare tokens weigh more: ln((N + 1) / (df + 1)) for a token in df of N texts. True
        counts in the references; or pass the texts to count in.
    baseline
        What unrelated texts score. With it a score s becomes (s - b) / (1 - b), which spreads
        scores that lie close together, and changes no order. "published" takes the numbers of
        `bert-score` for the encoder.

    Returns
    -------
    Scores at most 1. A text without tokens scores 0 before rescaling.

    Raises
    ------
    ConfigurationError
        If there are not as many candidates as references, or an argument cannot be used.
    CheckpointError
        If the model cannot be loaded.
    MissingDependencyError
        If torch or transformers is not installed.

    References
    ----------
    Zhang et al., BERTScore, arXiv:1904.09675; layers and baselines of `bert-score` 0.3.13.
    Departure: padding takes no part in the matching. There it enters the maximum as 0, so that a
    token of negative cosines scores otherwise in a batch of longer texts.
    """
    if len(candidates) != len(references):
        raise ConfigurationError(
            f"`candidates` and `references` must be of one length, got {len(candidates)} and "
            f"{len(references)}."
        )
    encoder = _encoder(encoder) if isinstance(encoder, str) else encoder
    offsets = _offsets(encoder, baseline)
    if not len(candidates):
        return BERTScores(np.empty(0), np.empty(0), np.empty(0))
    counted = list(references) if idf is True else list(idf or ())
    # Answers repeat: each text is encoded once.
    texts = list(dict.fromkeys([*candidates, *references, *counted]))
    encoded = dict(zip(texts, encoder._encode(texts), strict=True))
    rarity = _rarity([encoded[text] for text in counted]) if counted else None
    unseen = log(len(counted) + 1.0)
    weights = {text: _weights(found, rarity, unseen) for text, found in encoded.items()}
    matched = [
        _matched(encoded[left].vectors, encoded[right].vectors, weights[left], weights[right])
        for left, right in zip(candidates, references, strict=True)
    ]
    precision, recall = np.array(matched).T
    total = precision + recall
    f1 = np.divide(2.0 * precision * recall, total, out=np.zeros_like(total), where=total != 0.0)
    raw = (precision, recall, f1)
    scaled = [(part - b) / (1.0 - b) for part, b in zip(raw, offsets, strict=True)]
    return BERTScores(*scaled)


def _offsets(encoder: TokenEncoder, baseline: Baseline | None) -> tuple[float, ...]:
    if baseline is None:
        return (0.0, 0.0, 0.0)
    if baseline == "published":
        return encoder.baseline
    given = tuple(baseline)
    if len(given) != 3 or not all(isinstance(b, float) and -1.0 <= b < 1.0 for b in given):
        raise ConfigurationError(
            "`baseline` must be 'published', or three numbers in [-1, 1) for precision, recall and "
            f"F1, got {baseline!r}."
        )
    return given


def _rarity(texts: Sequence[_Encoded]) -> dict[int, float]:
    """Return the weight of each token that is in one of N texts."""
    counts: dict[int, int] = {}
    for text in texts:
        for token in set(text.ids):
            counts[token] = counts.get(token, 0) + 1
    return {token: log((len(texts) + 1.0) / (count + 1.0)) for token, count in counts.items()}


def _weights(
    encoded: _Encoded, rarity: Mapping[int, float] | None, unseen: float
) -> NDArray[np.float64]:
    """Return the weight of each token: shape (t,)."""
    weights = np.ones(len(encoded.ids))
    if rarity is not None:
        weights = np.array([rarity.get(token, unseen) for token in encoded.ids])
    weights[[token in encoded.marks for token in encoded.ids]] = 0.0
    return weights


def _matched(
    left: NDArray[np.float32],
    right: NDArray[np.float32],
    left_weights: NDArray[np.float64],
    right_weights: NDArray[np.float64],
) -> tuple[float, float]:
    """Return precision and recall: (t, d), (u, d), (t,), (u,)."""
    if not (left_weights.any() and right_weights.any()):
        return 0.0, 0.0
    cosines = left @ right.T
    return (
        float(np.average(cosines.max(axis=1), weights=left_weights)),
        float(np.average(cosines.max(axis=0), weights=right_weights)),
    )


@lru_cache(maxsize=2)
def _encoder(name: str) -> TokenEncoder:
    return TokenEncoder(name)
