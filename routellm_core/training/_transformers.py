"""Fine-tuning with transformers' Trainer: what `bert` and `causal_llm` share."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from routellm_core._optional import require
from routellm_core.errors import ConfigurationError
from routellm_core.training.examples import check_models, check_signal, pair_examples, split_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from routellm_core.training.examples import PairExamples, TrainingData
    from routellm_core.types import ModelPair

__all__ = ["TuneSettings", "fine_tune", "tuning_examples"]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TuneSettings:
    """How a model is fine-tuned.

    Parameters
    ----------
    learning_rate, batch_size, epochs
        Of transformers' Trainer: AdamW with a linear schedule.
    patience
        How many epochs without a better validation loss end the fit; the best epoch is kept.
    seed
        Of order, dropout and new weights.
    device
        "cpu", or None for what the library chooses.
    work
        Folder of the Trainer's own checkpoints. If it holds one, the fit goes on from it; it is
        not removed. Without it an interrupted fit starts again.
    show_progress
        Whether progress bars are drawn, on stderr.
    """

    learning_rate: float
    batch_size: int
    epochs: int
    patience: int
    seed: int
    device: str | None
    work: str | Path | None
    show_progress: bool

    def __post_init__(self) -> None:
        if not self.learning_rate > 0.0 or min(self.batch_size, self.epochs, self.patience) < 1:
            raise ConfigurationError(
                "`learning_rate` must be positive, and `batch_size`, `epochs` and `patience` at "
                f"least 1, got {self.learning_rate!r}, {self.batch_size!r}, {self.epochs!r} and "
                f"{self.patience!r}."
            )


def tuning_examples(
    data: TrainingData, pair: ModelPair, settings: TuneSettings, *, validation_share: float
) -> tuple[PairExamples, PairExamples]:
    """Return a pair's examples to learn from and to validate on, and set every seed.

    Raises
    ------
    DataError
        If there are too few prompts of the pair.
    UnknownModelError
        If a model is not in the data.
    """
    check_models(data, pair)
    examples = pair_examples(data, pair)
    check_signal(examples, pair)
    train, held = split_rows(
        examples.prompts, validation_share=validation_share, seed=settings.seed
    )
    require("transformers", extra="torch").set_seed(settings.seed)
    return examples.select(train), examples.select(held)


def fine_tune(
    model: Any,
    *,
    loss: Callable[[Any, dict[str, torch.Tensor]], torch.Tensor],
    collate: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]],
    train: Sequence[dict[str, Any]],
    validation: Sequence[dict[str, Any]],
    settings: TuneSettings,
) -> dict[str, Any]:
    """Fit a model in place, and return what was measured on the way.

    Parameters
    ----------
    loss
        Takes the model and a batch, and returns the batch's mean loss.
    collate
        Turns examples into a batch; the examples' labels are under "target".
    """
    transformers = require("transformers", extra="torch")

    class SoftLabelTrainer(transformers.Trainer):  # type: ignore[misc, name-defined]
        """Leave the loss to the caller."""

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any
        ) -> Any:
            value = loss(model, inputs)
            return (value, {"loss": value}) if return_outputs else value

        def prediction_step(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            torch = require("torch", extra="torch")
            with torch.no_grad():
                value = loss(model, self._prepare_inputs(inputs))
            return value.detach(), None, None

    with TemporaryDirectory() as temporary:
        work = Path(temporary if settings.work is None else settings.work)
        trainer = SoftLabelTrainer(
            model=model,
            args=_arguments(transformers, settings, work),
            data_collator=collate,
            train_dataset=list(train),
            eval_dataset=list(validation),
            callbacks=[transformers.EarlyStoppingCallback(settings.patience)],
        )
        started = _last_checkpoint(transformers, work)
        if started is not None:
            _LOGGER.info("Going on from %s.", started)
        trainer.train(resume_from_checkpoint=started)
        return {
            "validation_loss": float(trainer.state.best_metric),
            "epochs": float(trainer.state.epoch),
            "resumed": started is not None,
        }


def _arguments(transformers: Any, settings: TuneSettings, work: Path) -> Any:
    return transformers.TrainingArguments(
        output_dir=str(work),
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        num_train_epochs=settings.epochs,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_strategy="no",
        report_to=[],
        seed=settings.seed,
        use_cpu=settings.device == "cpu",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        label_names=["target"],
        disable_tqdm=not settings.show_progress,
    )


def _last_checkpoint(transformers: Any, work: Path) -> str | None:
    if not work.is_dir():
        return None
    found: str | None = transformers.trainer_utils.get_last_checkpoint(str(work))
    return found
