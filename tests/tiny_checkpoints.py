"""Checkpoints of a few thousand numbers, the same wherever they are made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

SENTENCES = """
what is the capital of france prove that there are infinitely many primes write a poem about hello
how do i sort list in python explain quantum entanglement translate to german sum two numbers and
then question answer score from one five you rate
"""
WORDS = SENTENCES.split()
LABELS = [f"[[{number}]]" for number in range(1, 6)]
HEADERS = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
SYSTEM = "You rate how well a small model will answer."
CLASSIFIER = "Rate from one to five.\n\nQuestion: {question}\n\nScore:"


def tiny_tokenizer(special: list[str], *, pad: str, unknown: str, start: str | None = None) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = [chr(code) for code in range(33, 127)]
    vocabulary = dict.fromkeys([*special, *letters, *WORDS])
    inner = Tokenizer(
        models.WordLevel(
            {word: number for number, word in enumerate(vocabulary)}, unk_token=unknown
        )
    )
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    if start is not None:
        inner.post_processor = processors.TemplateProcessing(
            single=f"{start} $A", special_tokens=[(start, list(vocabulary).index(start))]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token=unknown, pad_token=pad, model_max_length=64
    )
    tokenizer.add_special_tokens({"additional_special_tokens": [t for t in special if t != pad]})
    return tokenizer


def fill(model: Any, *, seed: int, scale: float) -> None:
    """Give a torch model weights that do not depend on torch's random numbers."""
    import torch

    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            values = rng.normal(scale=scale, size=tuple(weight.shape))
            if "norm" in name.lower() and name.endswith("weight"):
                values = 1.0 + values
            weight.copy_(torch.tensor(values, dtype=weight.dtype))


def tiny_bert(folder: Path, *, num_labels: int = 3) -> Path:
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = tiny_tokenizer(
        ["[PAD]", "[UNK]", "[CLS]"], pad="[PAD]", unknown="[UNK]", start="[CLS]"
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=num_labels,
        pad_token_id=0,
    )
    model = BertForSequenceClassification(config)
    fill(model, seed=1, scale=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_encoder(folder: Path) -> Path:
    """Write an encoder whose tokenizer marks both ends of a text."""
    from tokenizers import processors
    from transformers import BertConfig, BertModel

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer = tiny_tokenizer(special, pad="[PAD]", unknown="[UNK]")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.cls_token, tokenizer.sep_token = "[CLS]", "[SEP]"
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    model = BertModel(config, add_pooling_layer=False)
    fill(model, seed=5, scale=0.3)
    # Without what all tokens have in common, many cosines are negative.
    for name, weight in model.named_parameters():
        if "LayerNorm.bias" in name:
            weight.data.zero_()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_llama(folder: Path, *, label_bias: float = 3.0, with_labels: bool = True) -> Path:
    """Write a causal language model in the layout of RouteLLM's published one."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    special = ["<unk>", *HEADERS]
    tokenizer = tiny_tokenizer(special, pad="<|eot_id|>", unknown="<unk>", start=HEADERS[0])
    tokenizer.eos_token = "<|eot_id|>"
    tokenizer.model_max_length = 128
    size = len(tokenizer) + len(LABELS)
    if with_labels:
        tokenizer.add_tokens(LABELS, special_tokens=True)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=4,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    fill(model, seed=2, scale=0.3)
    with torch.no_grad():
        model.lm_head.weight[-len(LABELS) :] *= label_bias
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "system_ft_v5.txt").write_text(SYSTEM)
    (folder / "classifier_ft_v5.txt").write_text(CLASSIFIER)
    return folder


def published_mf(folder: Path, *, dim: int = 8, text_dim: int = 12, use_proj: bool = True) -> Path:
    """Write a matrix factorization in RouteLLM's published format."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(3)
    text_dim = text_dim if use_proj else dim
    tensors = {
        "P.weight": rng.normal(size=(64, dim)),
        "classifier.0.weight": rng.normal(size=(1, dim)),
    }
    if use_proj:
        tensors["text_proj.0.weight"] = rng.normal(size=(dim, text_dim))
    config = {
        "dim": dim,
        "num_classes": 1,
        "num_models": 64,
        "text_dim": text_dim,
        "use_proj": use_proj,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: t.astype(np.float32) for name, t in tensors.items()}, folder / "model.safetensors"
    )
    (folder / "config.json").write_text(json.dumps(config))
    return folder


class TableEmbedder:
    """Look vectors up in a table."""

    identity = "table"

    def __init__(self, table: dict[str, list[float]]) -> None:
        self.table = table

    def embed(self, texts: Any) -> np.ndarray:
        return np.array([self.table[text] for text in texts])
