"""Training `causal_llm`: adapting a language model to answer with a label token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._optional import require
from routellm_core.embedders.texts import clean_texts
from routellm_core.hub import find_checkpoint
from routellm_core.routers._prompt_format import LLAMA_3, PromptFormat
from routellm_core.routers._torch_models import load_pretrained, load_tokenizer
from routellm_core.routers.causal_llm import CausalLLMRouter, first_label_id
from routellm_core.training._transformers import TuneSettings, fine_tune, tuning_examples
from routellm_core.training.trained import trained

if TYPE_CHECKING:
    from pathlib import Path

    from routellm_core.training.examples import PairExamples, TrainingData
    from routellm_core.training.trained import Trained
    from routellm_core.types import ModelPair

__all__ = ["OWN_FORMAT", "OWN_LABELS", "train_causal_llm"]

OWN_LABELS = ("[[1]]", "[[2]]")
"""The strong model is needed, the weak one will do."""

OWN_FORMAT = PromptFormat(
    system_turn=LLAMA_3.system_turn,
    user_turn=LLAMA_3.user_turn,
    answer_start="",
    system=(
        "You judge how well a small language model will answer a question, without answering it "
        "yourself."
    ),
    classifier=(
        "Answer [[1]] if a small model will answer the following question worse than a large one, "
        "and [[2]] if it will do as well.\n\n[Question]\n{question}\n\n[Answer]"
    ),
)
"""How a question is asked, in Llama 3's turns. For another family pass a format with its turns."""


def train_causal_llm(
    data: TrainingData,
    *,
    pair: ModelPair,
    base: str | Path,
    prompt_format: PromptFormat = OWN_FORMAT,
    lora_rank: int = 16,
    learning_rate: float = 2e-4,
    batch_size: int = 8,
    epochs: int = 2,
    patience: int = 1,
    validation_share: float = 0.1,
    seed: int = 0,
    device: str | None = None,
    work: str | Path | None = None,
    show_progress: bool = False,
) -> Trained:
    """Adapt a language model by LoRA to answer with one of two label tokens.

    The labels' rows of the embedding and of the output are learnt whole, the other weights by
    low-rank updates, which are merged in the end: the checkpoint is a model like any other. The
    target is soft: the probability (1 + q_strong - q_weak) / 2 of the first label, a tie one half.

    Parameters
    ----------
    data
        Outcomes or battles; those of the pair are used.
    base
        A folder or "owner/name" on the Hub, with safetensors.
    lora_rank
        Rank of the updates, of every linear layer.
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
    settings = TuneSettings(
        learning_rate, batch_size, epochs, patience, seed, device, work, show_progress
    )
    train, held = tuning_examples(data, pair, settings, validation_share=validation_share)
    folder = find_checkpoint(base)
    tokenizer, model = load_tokenizer(folder), load_pretrained("AutoModelForCausalLM", folder)
    tokenizer.add_tokens(list(OWN_LABELS), special_tokens=True)
    model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings))
    first = first_label_id(
        tokenizer, OWN_LABELS, n_logits=model.get_input_embeddings().num_embeddings
    )
    adapted = _with_lora(model, lora_rank)
    limit = int(model.config.max_position_embeddings) - 1
    metrics = fine_tune(
        adapted,
        loss=_LabelLoss(first),
        collate=_collate_left,
        train=_rows(train, tokenizer, prompt_format, limit),
        validation=_rows(held, tokenizer, prompt_format, limit),
        settings=settings,
    )
    router = CausalLLMRouter(
        model=adapted.merge_and_unload(),
        tokenizer=tokenizer,
        prompt_format=prompt_format,
        labels=OWN_LABELS,
        score_threshold=2,
        pair=pair,
        device=device,
    )
    return trained(
        router,
        held,
        settings={
            "base": str(base),
            "lora_rank": lora_rank,
            "seed": seed,
            "n_train": len(train.prompts),
        },
        metrics=metrics,
    )


def _with_lora(model: Any, rank: int) -> Any:
    peft = require("peft", extra="torch")
    names = {id(module): name for name, module in model.named_modules()}
    whole = {
        names[id(module)].rsplit(".", 1)[-1]
        for module in (model.get_input_embeddings(), model.get_output_embeddings())
    }
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        modules_to_save=sorted(whole),
        task_type="CAUSAL_LM",
    )
    return peft.get_peft_model(model, config)


def _rows(
    examples: PairExamples, tokenizer: Any, prompt_format: PromptFormat, limit: int
) -> list[dict[str, Any]]:
    texts = [prompt_format.text(prompt) for prompt in clean_texts(examples.prompts)]
    return [
        {"input_ids": tokenizer.encode(text)[-limit:], "target": float(label)}
        for text, label in zip(texts, examples.labels, strict=True)
    ]


def _collate_left(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Pad on the left, so that every text ends at the last position."""
    torch = require("torch", extra="torch")
    longest = max(len(row["input_ids"]) for row in rows)
    pads = [longest - len(row["input_ids"]) for row in rows]
    ids = [[0] * pad + row["input_ids"] for pad, row in zip(pads, rows, strict=True)]
    mask = np.array([[0] * pad + [1] * (longest - pad) for pad in pads])
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor(mask),
        "position_ids": torch.tensor(np.maximum(mask.cumsum(axis=1) - 1, 0)),
        "target": torch.tensor([row["target"] for row in rows], dtype=torch.float32),
    }


class _LabelLoss:
    """Cross-entropy of the next token, with the label tokens' probabilities for a target."""

    def __init__(self, first_label: int) -> None:
        self.first_label = first_label

    def __call__(self, model: Any, batch: dict[str, Any]) -> Any:
        inputs = {key: value for key, value in batch.items() if key != "target"}
        logits = model(**inputs, use_cache=False).logits[:, -1].float()
        log_odds = logits.log_softmax(dim=1)
        strong, weak = log_odds[:, self.first_label], log_odds[:, self.first_label + 1]
        target = batch["target"]
        return -(target * strong + (1.0 - target) * weak).mean()
