"""A causal language model that rates how well the weak model will do."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._optional import require
from routellm_core.checkpoints import NOTES, Checkpoint, read_checkpoint, write_checkpoint
from routellm_core.embedders.texts import clean_texts
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.hub import CheckpointFolder
from routellm_core.routers._prompt_format import LLAMA_3, PromptFormat
from routellm_core.routers._torch_models import (
    batches_by_length,
    check_files,
    file_checksums,
    load_pretrained,
    load_tokenizer,
    pick_device,
    pick_dtype,
)
from routellm_core.routers.base import Router
from routellm_core.types import ModelPair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self

    from routellm_core.types import Calibration, WinRates

__all__ = ["LABELS", "CausalLLMRouter"]

LABELS = tuple(f"[[{score}]]" for score in range(1, 6))
"""RouteLLM's label tokens: scores of the weak model's answer, worst first."""

_SYSTEM_FILE = "system_ft_v5.txt"
_CLASSIFIER_FILE = "classifier_ft_v5.txt"
_MAX_CHARS = 100_000
_MAX_NEW_TOKENS = 6
_RESERVE = 8


class CausalLLMRouter(Router):
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
    device
        Where to compute; by default a CUDA device if there is one.
    batch_size
        Prompts per forward pass.
    pair, calibration, training
        As the checkpoint records them.

    Raises
    ------
    ConfigurationError
        If `labels`, `score_threshold` or `batch_size` cannot be used.

    References
    ----------
    "Causal LLM classifier", Ong et al., RouteLLM, arXiv:2406.18665, section 4.2.
    """

    name: ClassVar[str] = "causal_llm"

    def __init__(
        self,
        *,
        model: Any,
        tokenizer: Any,
        prompt_format: PromptFormat,
        labels: Sequence[str] = LABELS,
        score_threshold: int = 4,
        device: str | None = None,
        batch_size: int = 8,
        pair: ModelPair | None = None,
        calibration: Calibration | None = None,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        if len(labels) < 2 or not 2 <= score_threshold <= len(labels) or batch_size < 1:
            raise ConfigurationError(
                f"`labels` must be two or more, `score_threshold` in [2, {len(labels)}] and "
                f"`batch_size` at least 1, got {labels!r}, {score_threshold!r} and {batch_size!r}."
            )
        self.model = model.to(pick_device(device)).eval()
        self.tokenizer = tokenizer
        self.prompt_format, self.labels = prompt_format, tuple(labels)
        self.score_threshold, self.batch_size = score_threshold, batch_size
        self.training = dict(training or {})
        self._pair, self._calibration = pair, calibration
        self._first_label = first_label_id(tokenizer, self.labels, n_logits=_n_logits(model))
        self._ends = _end_ids(model, tokenizer)
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())

    @property
    def pair(self) -> ModelPair | None:
        """The models that the scores were fitted for; None when the checkpoint does not say."""
        return self._pair

    @property
    def calibration(self) -> Calibration | None:
        """The stored win rates of representative prompts; None when there are none."""
        return self._calibration

    @classmethod
    def default(cls, **options: Any) -> Self:
        """Return the router of a model and a tokenizer; without them, say what to do instead.

        Raises
        ------
        ConfigurationError
            If there is no model: no checkpoint is bundled.
        """
        if "model" not in options:
            raise ConfigurationError(
                "Router 'causal_llm' has no bundled checkpoint. Pass `checkpoint`, for example "
                "'routellm/causal_llm_gpt4_augmented', or train one with `routellm train "
                "causal_llm`."
            )
        return cls(**options)

    def save(self, folder: str | Path) -> Path:
        """Write model, tokenizer and what transformers does not store, and return the folder."""
        folder = Path(folder)
        if folder.exists() and any(folder.iterdir()) and not (folder / NOTES).is_dir():
            raise CheckpointError(
                f"{str(folder)!r} holds files that are not a checkpoint. Choose an empty folder."
            )
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        notes = Checkpoint(
            router=self.name,
            parameters={
                "files": file_checksums(folder),
                "prompt_format": self.prompt_format.to_json(),
                "labels": list(self.labels),
                "score_threshold": self.score_threshold,
            },
            pair=self._pair,
            calibration=self._calibration,
            training=self.training,
        )
        write_checkpoint(notes, folder / NOTES)
        return folder

    def _win_rates(self, prompts: Sequence[str]) -> WinRates:
        with self._lock:
            encoded = [self._encode(text) for text in clean_texts(prompts, max_chars=_MAX_CHARS)]
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
                    win_rates[labelled] = self._read(logits[:, self._first_label :])[labelled]
                open_rows &= ~labelled & ~np.isin(tokens, self._ends)
                if not open_rows.any():
                    break
                ids = torch.cat([ids, chosen[:, None]], dim=1)
        return win_rates

    def _read(self, logits: Any) -> NDArray[np.float64]:
        scores = logits.double().cpu().numpy()
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        win_rates: NDArray[np.float64] = odds[:, : self.score_threshold - 1].sum(axis=1)
        win_rates /= odds.sum(axis=1)
        return win_rates

    @classmethod
    def _from_folder(
        cls,
        folder: CheckpointFolder,
        *,
        device: str | None = None,
        dtype: str | None = None,
        batch_size: int = 8,
        **options: Any,
    ) -> Self:
        if options:
            raise ConfigurationError(
                f"A 'causal_llm' checkpoint takes the options batch_size, device and dtype, got "
                f"{sorted(options)}."
            )
        settings = _settings(folder)
        if dtype is None:  # as it was saved; RouteLLM's layout is always read in bfloat16
            dtype = None if (folder.path / NOTES).is_dir() else "bfloat16"
        model = load_pretrained(
            "AutoModelForCausalLM", folder, dtype=pick_dtype(dtype) if dtype else "auto"
        )
        return cls(
            model=model,
            tokenizer=load_tokenizer(folder),
            device=device,
            batch_size=batch_size,
            **settings,
        )


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


def _settings(folder: CheckpointFolder) -> dict[str, Any]:
    """Return what a folder says of format and labels: our notes, or RouteLLM's two files."""
    if not (folder.path / NOTES).is_dir():
        return {
            "prompt_format": PromptFormat(
                system_turn=LLAMA_3.system_turn,
                user_turn=LLAMA_3.user_turn,
                answer_start=LLAMA_3.answer_start,
                system=folder.read_text(_SYSTEM_FILE),
                classifier=folder.read_text(_CLASSIFIER_FILE),
            )
        }
    notes = read_checkpoint(folder.path / NOTES, within=folder.within)
    if notes.router != CausalLLMRouter.name:
        raise CheckpointError(
            f"{str(folder.path)!r} is a checkpoint of router {notes.router!r}, not of 'causal_llm'."
        )
    check_files(folder, notes.parameters.get("files"))
    labels, threshold = notes.parameters.get("labels"), notes.parameters.get("score_threshold")
    if not isinstance(labels, list) or type(threshold) is not int:
        raise CheckpointError("The checkpoint lacks its labels or its score threshold.")
    return {
        "prompt_format": PromptFormat.from_json(notes.parameters.get("prompt_format")),
        "labels": [str(label) for label in labels],
        "score_threshold": threshold,
        "pair": notes.pair,
        "calibration": notes.calibration,
        "training": notes.training,
    }


def _limit(config: Any) -> int:
    return int(getattr(config, "max_position_embeddings", 2048) or 2048)


def _n_logits(model: Any) -> int:
    return int(model.get_output_embeddings().weight.shape[0])


def _end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokens at which generation ends."""
    stated = model.generation_config.eos_token_id
    ends = stated if isinstance(stated, list) else [stated]
    return [int(end) for end in [*ends, tokenizer.eos_token_id] if end is not None]
