"""What each router's training takes: an embedder, or a pretrained model to fine-tune."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.routers.causal_llm import PromptFormat

if TYPE_CHECKING:
    import argparse

SHORT_FORMAT = PromptFormat(
    system_turn="{instruction} ",
    user_turn="{instruction}",
    answer_start="",
    system="",
    classifier="Question: {question}\nWhich model is needed?",
)


def add_tuning_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `bert` and `causal_llm` need."""
    parser.add_argument("--encoder", help="the pretrained classifier that `bert` starts from")
    parser.add_argument("--decoder", help="the pretrained model that `causal_llm` starts from")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-4)


def options_for(name: str, arguments: argparse.Namespace, embedder: Any) -> dict[str, Any]:
    """Return the trainer's own arguments."""
    if name not in ("bert", "causal_llm"):
        return {"embedder": embedder}
    tuning = {"epochs": arguments.epochs, "learning_rate": arguments.learning_rate}
    if name == "bert":
        return {"base": arguments.encoder, **tuning}
    return {"base": arguments.decoder, "prompt_format": SHORT_FORMAT, **tuning}
