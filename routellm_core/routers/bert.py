"""A fine-tuned text classifier."""

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

    from typing_extensions import Self

    from routellm_core.types import Calibration, WinRates

__all__ = ["BERTRouter"]

_MAX_CHARS = 100_000
_MAX_LABELS = 3


class BERTRouter(Router):
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
    device
        Where to compute; by default a CUDA device if there is one.
    batch_size
        Prompts per forward pass.
    pair, calibration, training
        As the checkpoint records them.

    Raises
    ------
    ConfigurationError
        If the model has more than three labels, or `batch_size` is below 1.

    References
    ----------
    "BERT classifier", Ong et al., RouteLLM, arXiv:2406.18665, section 4.2.
    """

    name: ClassVar[str] = "bert"

    def __init__(
        self,
        *,
        model: Any,
        tokenizer: Any,
        device: str | None = None,
        batch_size: int = 32,
        pair: ModelPair | None = None,
        calibration: Calibration | None = None,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ConfigurationError(f"`batch_size` must be at least 1, got {batch_size!r}.")
        n_labels = int(model.config.num_labels)
        if n_labels > _MAX_LABELS:
            raise ConfigurationError(
                f"A 'bert' router has at most {_MAX_LABELS} labels, and this model has {n_labels}."
            )
        self.model = model.to(pick_device(device)).eval()
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.training = dict(training or {})
        self._pair, self._calibration = pair, calibration
        self._column = _strong_label(model.config.id2label)
        self._max_tokens = _limit(model.config, tokenizer)
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())

    @property
    def pair(self) -> ModelPair | None:
        """The models that the classifier was fitted for; None when it does not say."""
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
                "Router 'bert' has no bundled checkpoint. Pass `checkpoint`, for example "
                "'routellm/bert_gpt4_augmented', or train one with `routellm train bert`."
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
            parameters={"files": file_checksums(folder)},
            pair=self._pair,
            calibration=self._calibration,
            training=self.training,
        )
        write_checkpoint(notes, folder / NOTES)
        return folder

    def _win_rates(self, prompts: Sequence[str]) -> WinRates:
        texts = clean_texts(prompts, max_chars=_MAX_CHARS)
        with self._lock:  # a fast tokenizer keeps its padding in itself
            encoded = self.tokenizer(texts, truncation=True, max_length=self._max_tokens)
        keys = [key for key in encoded if key in self.tokenizer.model_input_names]
        win_rates = np.empty(len(texts), dtype=np.float64)
        lengths = [len(ids) for ids in encoded["input_ids"]]
        for rows in batches_by_length(lengths, batch_size=self.batch_size):
            part = {key: [encoded[key][row] for row in rows] for key in keys}
            win_rates[rows] = self._score(part)
        return win_rates

    def _score(self, part: dict[str, list[list[int]]]) -> WinRates:
        torch = require("torch", extra="torch")
        with self._lock:
            inputs = self.tokenizer.pad(part, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            logits = self.model(**inputs).logits.double().cpu().numpy()
        if logits.shape[1] == 1:
            logits = np.concatenate([logits, np.zeros_like(logits)], axis=1)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        win_rates: WinRates = odds[:, self._column] / odds.sum(axis=1)
        return win_rates

    @classmethod
    def _from_folder(
        cls,
        folder: CheckpointFolder,
        *,
        device: str | None = None,
        dtype: str = "float32",
        batch_size: int = 32,
        **options: Any,
    ) -> Self:
        if options:
            raise ConfigurationError(
                f"A 'bert' checkpoint takes the options batch_size, device and dtype, got "
                f"{sorted(options)}."
            )
        notes = Checkpoint("bert")
        if (folder.path / NOTES).is_dir():
            notes = read_checkpoint(folder.path / NOTES, within=folder.within)
            check_files(folder, notes.parameters.get("files"))
        if notes.router != cls.name:
            raise CheckpointError(
                f"{str(folder.path)!r} is a checkpoint of router {notes.router!r}, not of 'bert'."
            )
        model = load_pretrained(
            "AutoModelForSequenceClassification", folder, dtype=pick_dtype(dtype)
        )
        return cls(
            model=model,
            tokenizer=load_tokenizer(folder),
            device=device,
            batch_size=batch_size,
            pair=notes.pair,
            calibration=notes.calibration,
            training=notes.training,
        )


def _strong_label(names: Mapping[int, str]) -> int:
    found = [number for number, name in names.items() if "strong" in str(name).lower()]
    return int(found[0]) if len(found) == 1 else 0


def _limit(config: Any, tokenizer: Any) -> int:
    """Return how many tokens the model reads, specials included."""
    positions = int(getattr(config, "max_position_embeddings", 512) or 512)
    if "roberta" in str(config.model_type):
        positions -= int(config.pad_token_id) + 1  # positions start after the padding's
    return min(positions, int(tokenizer.model_max_length))
