"""A causal language model that rates how well the weak model will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._optional import require
from routellm_core.embedders.texts import clean_texts
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.routers._fine_tuned import MAX_CHARS, FineTunedRouter
from routellm_core.routers._prompt_format import LLAMA_3, PromptFormat
from routellm_core.routers._torch_models import batches_by_length, probability_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Unpack

    from routellm_core.checkpoints import Checkpoint
    from routellm_core.hub import CheckpointFolder
    from routellm_core.routers._fine_tuned import SharedOptions
    from routellm_core.types import WinRates

__all__ = ["LABELS", "CausalLLMRouter"]

LABELS = tuple(f"[[{score}]]" for score in range(1, 6))
"""RouteLLM's label tokens: scores of the weak model's answer, worst first."""

_SYSTEM_FILE = "system_ft_v5.txt"
_CLASSIFIER_FILE = "classifier_ft_v5.txt"
_MAX_NEW_TOKENS = 6
_RESERVE = 8


class CausalLLMRouter(FineTunedRouter):
    """Ask a language model to score the weak model's answer before it is written.

    The model continues the question with one of l label tokens, worst score first. With p the
    softmax over the labels' logits where the first label appears, the win rate is
    1 - sum of p over the scores from `score_threshold` on. If no label appears within six greedy
    tokens the output is invalid, and the win rate 1: the strong model answers.

    Prompts whose texts have the same number of tokens are scored together. Of a prompt that does
    not fit the model's context the end is left out, so that the instructions around it stay.

    Parameters
    ----------
    model, tokenizer
        A `PreTrainedModel` for causal language modelling, and its tokenizer.
    prompt_format
        How the question is asked.
    labels
        l >= 2 label tokens. Those that the tokenizer does not know are added at its end.
    score_threshold
        In [2, l]: the lowest score, counted from 1, with which the weak model will do.
    batch_size, device, pair, calibration, training
        See `routellm_core.routers._fine_tuned.FineTunedRouter`.

    Raises
    ------
    ConfigurationError
        If `labels`, `score_threshold` or `batch_size` cannot be used.

    References
    ----------
    "Causal LLM classifier", Ong et al., RouteLLM, arXiv:2406.18665, section 4.2.
    """

    name: ClassVar[str] = "causal_llm"
    auto_class: ClassVar[str] = "AutoModelForCausalLM"

    def __init__(
        self,
        *,
        model: Any,
        tokenizer: Any,
        prompt_format: PromptFormat,
        labels: Sequence[str] = LABELS,
        score_threshold: int = 4,
        batch_size: int = 8,
        **options: Unpack[SharedOptions],
    ) -> None:
        if len(labels) < 2 or not 2 <= score_threshold <= len(labels):
            raise ConfigurationError(
                f"`labels` must be two or more and `score_threshold` in [2, {len(labels)}], got "
                f"{labels!r} and {score_threshold!r}."
            )
        super().__init__(model=model, tokenizer=tokenizer, batch_size=batch_size, **options)
        self.prompt_format, self.labels = prompt_format, tuple(labels)
        self.score_threshold = score_threshold
        self._first_label = first_label_id(tokenizer, self.labels, n_logits=_n_logits(model))
        self._ends = _end_ids(model, tokenizer)

    def _win_rates(self, prompts: Sequence[str]) -> WinRates:
        with self._lock:
            encoded = [self._encode(text) for text in clean_texts(prompts, max_chars=MAX_CHARS)]
        win_rates = np.empty(len(encoded), dtype=np.float64)
        lengths = [len(ids) for ids in encoded]
        # Nothing is padded: under a mask, 16-bit attention is off by more than 0.001.
        for rows in batches_by_length(lengths, batch_size=self.batch_size, equal=True):
            win_rates[rows] = self._score([encoded[row] for row in rows])
        return win_rates

    def _encode(self, prompt: str) -> list[int]:
        """Return the tokens of the whole text, leaving out the end of a prompt that is too long."""
        limit = _limit(self.model.config) - _MAX_NEW_TOKENS
        ids: list[int] = self.tokenizer.encode(self.prompt_format.text(prompt))
        while len(ids) > limit and prompt:
            words = self.tokenizer.encode(prompt, add_special_tokens=False)
            kept = max(0, len(words) - (len(ids) - limit) - _RESERVE)
            prompt = self.tokenizer.decode(words[:kept], skip_special_tokens=True)
            ids = self.tokenizer.encode(self.prompt_format.text(prompt))
        return ids[-limit:]

    def _score(self, encoded: list[list[int]]) -> WinRates:
        """Continue n texts of one length greedily until the first label of each: (n,)."""
        torch = require("torch", extra="torch")
        ids = torch.tensor(encoded, device=self.model.device)
        win_rates = np.ones(len(encoded))
        too_low = slice(self.score_threshold - 1)
        open_rows = np.ones(len(encoded), dtype=np.bool_)
        with torch.inference_mode():
            for _ in range(_MAX_NEW_TOKENS):
                # A fitted model answers at once, so a cache for later tokens would cost more than
                # it saves.
                logits = self.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, -1]
                chosen = logits.argmax(dim=1)
                tokens = chosen.cpu().numpy()
                labelled = open_rows & (tokens >= self._first_label)
                if labelled.any():
                    read = probability_of(too_low, logits[:, self._first_label :])
                    win_rates[labelled] = read[labelled]
                open_rows &= ~labelled & ~np.isin(tokens, self._ends)
                if not open_rows.any():
                    break
                ids = torch.cat([ids, chosen[:, None]], dim=1)
        return win_rates

    def _parameters(self) -> Mapping[str, Any]:
        return {
            "prompt_format": self.prompt_format.to_json(),
            "labels": list(self.labels),
            "score_threshold": self.score_threshold,
        }

    @classmethod
    def _default_dtype(cls, notes: Checkpoint | None) -> str:
        return "auto" if notes else "bfloat16"  # what RouteLLM's layout is always read in

    @classmethod
    def _settings(cls, folder: CheckpointFolder, notes: Checkpoint | None) -> Mapping[str, Any]:
        """Return format and labels: of our notes, or of RouteLLM's two files."""
        if notes is None:
            return {
                "prompt_format": PromptFormat(
                    system_turn=LLAMA_3.system_turn,
                    user_turn=LLAMA_3.user_turn,
                    answer_start=LLAMA_3.answer_start,
                    system=folder.read_text(_SYSTEM_FILE),
                    classifier=folder.read_text(_CLASSIFIER_FILE),
                )
            }
        labels, threshold = notes.parameters.get("labels"), notes.parameters.get("score_threshold")
        if not isinstance(labels, list) or type(threshold) is not int:
            raise CheckpointError("The checkpoint lacks its labels or its score threshold.")
        return {
            "prompt_format": PromptFormat.from_json(notes.parameters.get("prompt_format")),
            "labels": [str(label) for label in labels],
            "score_threshold": threshold,
        }


def first_label_id(tokenizer: Any, labels: Sequence[str], *, n_logits: int) -> int:
    """Return the first label's token, adding the labels to the tokenizer's end if they are new.

    Raises
    ------
    CheckpointError
        If the labels are not one token each, in order at the end, or the model has no logit for
        one.
    """
    tokenizer.add_tokens(list(labels), special_tokens=True)
    ids = tokenizer.convert_tokens_to_ids(list(labels))
    first = len(tokenizer) - len(labels)
    if ids != list(range(first, first + len(labels))) or ids[-1] >= n_logits:
        raise CheckpointError(
            f"The labels {list(labels)} must be the last tokens of the vocabulary, got {ids} of "
            f"{len(tokenizer)} tokens and {n_logits} logits."
        )
    return first


def _limit(config: Any) -> int:
    return int(getattr(config, "max_position_embeddings", 2048) or 2048)


def _n_logits(model: Any) -> int:
    return int(model.get_output_embeddings().weight.shape[0])


def _end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokens at which generation ends."""
    stated = model.generation_config.eos_token_id
    ends = stated if isinstance(stated, list) else [stated]
    return [int(end) for end in [*ends, tokenizer.eos_token_id] if end is not None]
