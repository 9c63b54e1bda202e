"""Training `bert`: fine-tuning a text classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from routellm_core._optional import require
from routellm_core.embedders.texts import clean_texts
from routellm_core.errors import ConfigurationError
from routellm_core.hub import find_checkpoint
from routellm_core.routers._torch_models import load_pretrained, load_tokenizer
from routellm_core.routers.bert import BERTRouter
from routellm_core.training._transformers import TuneSettings, fine_tune, tuning_examples
from routellm_core.training.trained import trained

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from routellm_core.training.examples import PairExamples, TrainingData
    from routellm_core.training.trained import Trained
    from routellm_core.types import ModelPair

__all__ = ["Labels", "train_bert"]

Labels = Literal["soft", "two", "three"]
"""What the classifier learns: see `train_bert`."""

_NAMES = {"soft": ("strong", "weak"), "two": ("strong", "weak"), "three": ("strong", "tie", "weak")}
_TIE = 1e-6


def train_bert(
    data: TrainingData,
    *,
    pair: ModelPair,
    base: str | Path,
    labels: Labels = "soft",
    learning_rate: float = 2e-5,
    batch_size: int = 16,
    epochs: int = 5,
    patience: int = 2,
    max_tokens: int = 512,
    validation_share: float = 0.1,
    seed: int = 0,
    device: str | None = None,
    work: str | Path | None = None,
    show_progress: bool = False,
) -> Trained:
    """Fine-tune a pretrained encoder to tell which prompts need the strong model.

    Parameters
    ----------
    data
        Outcomes or battles; those of the pair are used.
    base
        A folder or "owner/name" on the Hub, with safetensors: for example
        "FacebookAI/xlm-roberta-base".
    labels
        "soft": two labels with the probability (1 + q_strong - q_weak) / 2, a tie one half;
        "two": the strong model is better, or it is not; "three": RouteLLM's convention, strong
        wins, tie, weak wins.
    max_tokens
        Where prompts are cut.
    learning_rate, batch_size, epochs, patience, seed, device, work, show_progress
        See `routellm_core.training._transformers.TuneSettings`.
    validation_share
        How many prompts are held back to stop early and to measure the router.

    Raises
    ------
    ConfigurationError
        If an argument cannot be used.
    DataError
        If there are too few prompts of the pair.
    MissingDependencyError
        If the `torch` extra is not installed.
    """
    if labels not in _NAMES:
        raise ConfigurationError(f"`labels` must be one of {sorted(_NAMES)}, got {labels!r}.")
    settings = TuneSettings(
        learning_rate, batch_size, epochs, patience, seed, device, work, show_progress
    )
    train, held = tuning_examples(data, pair, settings, validation_share=validation_share)
    folder = find_checkpoint(base)
    tokenizer = load_tokenizer(folder)
    tokenizer.model_max_length = min(tokenizer.model_max_length, max_tokens)
    names = _NAMES[labels]
    model = load_pretrained(
        "AutoModelForSequenceClassification",
        folder,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
        ignore_mismatched_sizes=True,
    )
    metrics = fine_tune(
        model,
        loss=_soft_cross_entropy,
        collate=_Collate(tokenizer),
        train=_rows(train, tokenizer, labels),
        validation=_rows(held, tokenizer, labels),
        settings=settings,
    )
    router = BERTRouter(model=model, tokenizer=tokenizer, pair=pair, device=device)
    return trained(
        router,
        held,
        settings={"base": str(base), "labels": labels, "seed": seed, "n_train": len(train.prompts)},
        metrics=metrics,
    )


def _rows(examples: PairExamples, tokenizer: Any, labels: Labels) -> list[dict[str, Any]]:
    encoded = tokenizer(clean_texts(examples.prompts), truncation=True)
    targets = _targets(examples.labels, labels)
    return [
        {"input_ids": ids, "attention_mask": mask, "target": target}
        for ids, mask, target in zip(
            encoded["input_ids"], encoded["attention_mask"], targets.tolist(), strict=True
        )
    ]


def _targets(win_rates: NDArray[np.float64], labels: Labels) -> NDArray[np.float64]:
    """Return each label's probability: (n, 2) or (n, 3)."""
    if labels == "soft":
        return np.stack([win_rates, 1.0 - win_rates], axis=1)
    strong, weak = win_rates > 0.5 + _TIE, win_rates < 0.5 - _TIE
    if labels == "two":
        return np.stack([strong, ~strong], axis=1).astype(np.float64)
    return np.stack([strong, ~strong & ~weak, weak], axis=1).astype(np.float64)


class _Collate:
    """Pad examples to the longest of a batch."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        torch = require("torch", extra="torch")
        keys = ("input_ids", "attention_mask")
        batch = self.tokenizer.pad({key: [row[key] for row in rows] for key in keys},
                                   return_tensors="pt")  # fmt: skip
        target = torch.tensor([row["target"] for row in rows], dtype=torch.float32)
        return {**batch, "target": target}


def _soft_cross_entropy(model: Any, batch: dict[str, Any]) -> Any:
    torch = require("torch", extra="torch")
    inputs = {key: value for key, value in batch.items() if key != "target"}
    logits = model(**inputs).logits.float()
    return torch.nn.functional.cross_entropy(logits, batch["target"])
