"""How able each model of the training data is, before any outcome is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["GENERAL_ABILITY", "prior_abilities"]

_CENTRE, _SPREAD = 62.0, 15.0

GENERAL_ABILITY: dict[str, float] = {
    "claude-instant-v1": 73.0,
    "claude-v1": 77.0,
    "claude-v2": 78.5,
    "codegemma-7b": 50.0,
    "DeepSeek-Coder-V2": 79.0,
    "ehartford--dolphin-llama-13b": 48.0,
    "gemini-1.5-flash-002": 80.0,
    "gemini-1.5-pro-002": 86.0,
    "gemma-2-9b-it": 72.0,
    "gemma3-1b": 40.0,
    "gemma3-4b": 58.0,
    "gpt-3.5-turbo-0301": 70.0,
    "gpt-3.5-turbo-0613": 70.0,
    "gpt-3.5-turbo-1106": 70.0,
    "gpt-4-0613": 86.0,
    "gpt-4-1106-preview": 85.0,
    "jamba-1.5-large": 78.0,
    "llama-3.1-8b-instruct": 68.0,
    "llama-3.1-nemotron-51b-instruct": 80.0,
    "llama-3.3-nemotron-super-49b-v1": 82.0,
    "llama3-chatqa-1.5-70b": 70.0,
    "llama3-chatqa-1.5-8b": 58.0,
    "llama3.1-8b": 66.0,
    "llama3.2-1b": 46.0,
    "llama3.2-3b": 60.0,
    "lmsys--vicuna-33b-v1.3": 59.0,
    "lmsys--vicuna-7b-v1.3": 47.0,
    "meta-llama--Llama-2-13b-chat-hf": 54.0,
    "meta-llama--Llama-2-70b-chat-hf": 63.0,
    "meta-llama--Llama-2-7b-chat-hf": 47.0,
    "Meta-Llama-3_1-70B-Instruct": 83.0,
    "Meta-Llama-3_1-8B-Instruct": 68.0,
    "meta/code-llama-instruct-34b-chat": 53.0,
    "meta/llama-2-70b-chat": 63.0,
    "Mistral-7B-Instruct-v0.2": 59.0,
    "mistral-7b-instruct-v0.3": 60.0,
    "mistralai--Mistral-7B-Instruct-v0.1": 54.0,
    "mistralai/mistral-7b-chat": 55.0,
    "mistralai/Mixtral-8x7B-Instruct-v0.1": 70.0,
    "mistralai/mixtral-8x7b-chat": 70.0,
    "Mixtral-8x7B-Instruct-v0.1": 70.0,
    "mosaicml--mpt-30b-chat": 51.0,
    "mosaicml--mpt-7b-chat": 40.0,
    "NousResearch--Nous-Hermes-13b": 50.0,
    "NousResearch--Nous-Hermes-Llama2-13b": 55.0,
    "Open-Orca--OpenOrca-Platypus2-13B": 58.0,
    "Open-Orca--OpenOrcaxOpenChat-Preview2-13B": 57.0,
    "OpenAssistant--codellama-13b-oasst-sft-v10": 45.0,
    "OpenAssistant--falcon-40b-sft-mix-1226": 55.0,
    "OpenAssistant--falcon-40b-sft-top1-560": 55.0,
    "OpenAssistant--llama2-70b-oasst-sft-v10": 68.0,
    "OpenAssistant--oasst-sft-1-pythia-12b": 27.0,
    "OpenAssistant--pythia-12b-sft-v8-7k-steps": 27.0,
    "Phi-3-mini-4k-instruct": 68.0,
    "Qwen1.5-72B-Chat": 76.0,
    "Qwen1.5-7B-Chat": 60.0,
    "qwen2.5-7b-instruct": 72.0,
    "stabilityai--StableBeluga-13B": 56.0,
    "stabilityai--StableBeluga2": 69.0,
    "tiiuae--falcon-40b-instruct": 54.0,
    "tiiuae--falcon-7b-instruct": 28.0,
    "timdettmers--guanaco-65b-merged": 62.0,
    "WizardLM--WizardCoder-15B-V1.0": 35.0,
    "WizardLM--WizardCoder-Python-13B-V1.0": 42.0,
    "WizardLM--WizardCoder-Python-34B-V1.0": 50.0,
    "WizardLM--WizardLM-70B-V1.0": 66.0,
    "WizardLM--WizardMath-13B-V1.0": 52.0,
    "WizardLM--WizardMath-70B-V1.0": 66.0,
    "WizardLM/WizardLM-13B-V1.2": 54.0,
    "zero-one-ai/Yi-34B-Chat": 74.0,
}
"""Rough accuracy on MMLU, in per cent, as published for the model or its nearest relative. Only the
order and the rough distances matter: outcomes decide the rest."""


def prior_abilities(models: Sequence[str]) -> NDArray[np.float64]:
    """Return general ability, standardised: shape (m,), about -2 to 2.

    Raises
    ------
    UnknownModelError
        If a model is not in `GENERAL_ABILITY`.
    """
    unknown = [model for model in models if model not in GENERAL_ABILITY]
    if unknown:
        raise UnknownModelError(
            f"`GENERAL_ABILITY` has no entry for {unknown}. Add its rough accuracy on MMLU."
        )
    published = np.array([GENERAL_ABILITY[model] for model in models])
    standardised: NDArray[np.float64] = (published - _CENTRE) / _SPREAD
    return standardised
