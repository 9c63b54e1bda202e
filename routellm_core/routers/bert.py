"""A fine-tuned text classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._optional import require
from routellm_core.embedders.texts import clean_texts
from routellm_core.errors import ConfigurationError
from routellm_core.routers._fine_tuned import MAX_CHARS, FineTunedRouter
from routellm_core.routers._torch_models import (
    batches_by_length,
    encoder_limit,
    probability_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Unpack

    from routellm_core.routers._fine_tuned import SharedOptions
    from routellm_core.types import WinRates

__all__ = ["BERTRouter"]

_MAX_LABELS = 3


class BERTRouter(FineTunedRouter):
    """Read the win rate off a sequence classifier.

    The classifier has three labels (strong wins, tie, weak wins: RouteLLM's convention), two
    (strong wins, weak will do) or one (the log-odds of the strong model). The win rate is the first
    label's probability; where a label is called "strong" it is that label's. With three labels a
    tie therefore counts for the weak model, which is cheaper and as good; a router fitted to soft
    labels of two counts it half.

    A prompt longer than the model reads (often 512 tokens) is cut at its end. Prompts are scored in
    batches of similar length.

    Parameters
    ----------
    model, tokenizer
        A `PreTrainedModel` for sequence classification, and its tokenizer.
    batch_size, device, pair, calibration, training
        See `routellm_core.routers._fine_tuned.FineTunedRouter`.

    Raises
    ------
    ConfigurationError
        If the model has more than three labels, or `batch_size` is below 1.

    References
    ----------
    "BERT classifier", Ong et al., RouteLLM, arXiv:2406.18665, section 4.2.
    """

    name: ClassVar[str] = "bert"
    auto_class: ClassVar[str] = "AutoModelForSequenceClassification"

    def __init__(
        self, *, model: Any, tokenizer: Any, batch_size: int = 32, **options: Unpack[SharedOptions]
    ) -> None:
        n_labels = int(model.config.num_labels)
        if n_labels > _MAX_LABELS:
            raise ConfigurationError(
                f"A 'bert' router has at most {_MAX_LABELS} labels, and this model has {n_labels}."
            )
        super().__init__(model=model, tokenizer=tokenizer, batch_size=batch_size, **options)
        self._label = _strong_label(model.config.id2label)
        self._max_tokens = encoder_limit(model.config, tokenizer)

    def _win_rates(self, prompts: Sequence[str]) -> WinRates:
        texts = clean_texts(prompts, max_chars=MAX_CHARS)
        with self._lock:
            encoded = self.tokenizer(texts, truncation=True, max_length=self._max_tokens)
        keys = [key for key in encoded if key in self.tokenizer.model_input_names]
        win_rates = np.empty(len(texts), dtype=np.float64)
        lengths = [len(ids) for ids in encoded["input_ids"]]
        # Padding on the left moves a text to other positions, which not every model forgives.
        equal = self.tokenizer.padding_side == "left"
        for rows in batches_by_length(lengths, batch_size=self.batch_size, equal=equal):
            part = {key: [encoded[key][row] for row in rows] for key in keys}
            win_rates[rows] = self._score(part)
        return win_rates

    def _score(self, part: dict[str, list[list[int]]]) -> WinRates:
        torch = require("torch", extra="torch")
        with self._lock:
            inputs = self.tokenizer.pad(part, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            logits = self.model(**inputs).logits
            if logits.shape[1] == 1:
                logits = torch.cat([logits, torch.zeros_like(logits)], dim=1)
            return probability_of(slice(self._label, self._label + 1), logits)


def _strong_label(names: Mapping[int, str]) -> int:
    found = [number for number, name in names.items() if "strong" in str(name).lower()]
    return int(found[0]) if len(found) == 1 else 0
