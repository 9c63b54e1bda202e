"""Measure `bert` and `causal_llm` on a CUDA device beside the CPU: parity, throughput, training.

    pip install -e ".[torch]"
    PYTHONPATH=tests python benchmarks/bench_gpu.py [--small]

The models have the published sizes (XLM-RoBERTa base, 278 million weights; Llama 3 8B) and random
weights: what a forward pass costs does not depend on their values. `--small` checks the script on a
machine without a GPU.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import transformers
from planted import PAIR, outcome_rows, planted
from tiny_checkpoints import CLASSIFIER, HEADERS, LABELS, SYSTEM, WORDS, tiny_tokenizer

from routellm_core import load_router
from routellm_core.data import read_outcomes
from routellm_core.training import train_bert, train_causal_llm

CUDA = torch.cuda.is_available()
DEVICES = ("cpu", "cuda") if CUDA else ("cpu",)
N_WORDS = 100


def prompts(n: int, *, seed: int) -> list[str]:
    """Return n different prompts of 100 words."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, N_WORDS)) for _ in range(n)]


def bert(folder: Path, *, small: bool) -> Path:
    """Write a classifier of the size of XLM-RoBERTa base."""
    tokenizer = tiny_tokenizer(
        ["[PAD]", "[UNK]", "[CLS]"], pad="[PAD]", unknown="[UNK]", start="[CLS]"
    )
    tokenizer.model_max_length = 512
    config = transformers.XLMRobertaConfig(
        vocab_size=len(tokenizer) if small else 250_002,
        hidden_size=64 if small else 768,
        num_hidden_layers=2 if small else 12,
        num_attention_heads=4 if small else 12,
        intermediate_size=128 if small else 3072,
        max_position_embeddings=514,
        num_labels=3,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = transformers.XLMRobertaForSequenceClassification(config)
    torch.nn.init.normal_(model.classifier.out_proj.weight, std=0.5)  # so that win rates differ
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def llama(
    folder: Path,
    *,
    small: bool,
    dtype: torch.dtype = torch.bfloat16,
    with_labels: bool = True,
) -> Path:
    """Write a language model of the size of Llama 3 8B, in the published router's layout."""
    tokenizer = tiny_tokenizer(
        ["<unk>", *HEADERS], pad="<|eot_id|>", unknown="<unk>", start=HEADERS[0]
    )
    tokenizer.eos_token = "<|eot_id|>"
    tokenizer.model_max_length = 8192
    if with_labels:
        tokenizer.add_tokens(LABELS, special_tokens=True)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer) if small else 128_261,
        hidden_size=64 if small else 4096,
        num_hidden_layers=2 if small else 32,
        num_attention_heads=4 if small else 32,
        num_key_value_heads=2 if small else 8,
        intermediate_size=128 if small else 14_336,
        max_position_embeddings=8192,
        bos_token_id=1,
        eos_token_id=4,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    with torch.device(DEVICES[-1]):  # on the CPU, filling it takes minutes
        torch.set_default_dtype(dtype)
        model = transformers.LlamaForCausalLM(config)
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "system_ft_v5.txt").write_text(SYSTEM)
    (folder / "classifier_ft_v5.txt").write_text(CLASSIFIER)
    return folder


def seconds(call: Callable[[], Any], *, repeats: int = 5) -> float:
    """Return the median seconds of a call whose result lies on the CPU."""
    call()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def show(**row: Any) -> None:
    """Print one measurement as a line of JSON."""
    rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()}
    print(json.dumps(rounded), flush=True)


@contextmanager
def part(name: str) -> Any:
    """Report a part that fails, and go on: a machine with a GPU is rare."""
    began = time.perf_counter()
    try:
        yield
    except Exception as error:  # noqa: BLE001
        show(part=name, failed=f"{type(error).__name__}: {error}"[:300])
    finally:
        show(part=name, seconds=time.perf_counter() - began)
        if CUDA:
            torch.cuda.empty_cache()


def parity(name: str, folder: Path) -> None:
    """Compare win rates in float32 between the devices, and bfloat16 with float32."""
    asked = prompts(64, seed=1)
    found = {
        (device, dtype): load_router(
            name, checkpoint=folder, device=device, dtype=dtype, batch_size=16
        ).win_rates(asked)
        for device in DEVICES
        for dtype in ("float32", "bfloat16")
        if (device, dtype) != ("cpu", "bfloat16")
    }
    reference = found["cpu", "float32"]
    for (device, dtype), rates in found.items():
        show(
            router=name,
            measure="largest difference to float32 on the CPU",
            device=device,
            dtype=dtype,
            value=float(np.abs(rates - reference).max()),
            spread=float(np.ptp(reference)),
        )


def throughput(name: str, folder: Path, *, cases: list[tuple[str, str, int, int]]) -> None:
    """Time batches: prompts per second, and milliseconds for one prompt."""
    for device, dtype, batch_size, n in cases:
        if device not in DEVICES:
            continue
        router = load_router(
            name, checkpoint=folder, device=device, dtype=dtype, batch_size=batch_size
        )
        asked = prompts(n, seed=2)
        repeats = 3 if device == "cpu" else 10
        taken = seconds(partial(router.win_rates, asked), repeats=repeats)
        one = seconds(partial(router.win_rate, asked[0]), repeats=repeats)
        show(
            router=name,
            device=device,
            dtype=dtype,
            batch_size=batch_size,
            prompts_per_s=n / taken,
            one_prompt_ms=one * 1000,
        )


def training(folder: Path, *, small: bool) -> None:
    """Train both kinds on each device: seconds for an epoch, and how well they order prompts."""
    rows, held = planted(400 if small else 800, seed=1)
    data = read_outcomes(outcome_rows(rows, held))
    base = {
        "bert": bert(folder / "bert", small=True),
        "causal_llm": llama(folder / "llama", small=True, dtype=torch.float32, with_labels=False),
    }
    trainers: dict[str, tuple[Any, dict[str, Any]]] = {
        "bert": (train_bert, {"learning_rate": 2e-3, "batch_size": 32}),
        "causal_llm": (train_causal_llm, {"learning_rate": 5e-3, "batch_size": 32, "lora_rank": 8}),
    }
    unseen = planted(600, seed=9)[0]
    for name, (train, settings) in trainers.items():
        rates = {}
        for device in DEVICES:
            began = time.perf_counter()
            made = train(data, pair=PAIR, base=base[name], epochs=2, device=device, **settings)
            rates[device] = made.router.win_rates(unseen)
            show(router=name, measure="two epochs, small model", device=device,
                 seconds=time.perf_counter() - began)  # fmt: skip
        if CUDA:
            show(
                router=name,
                measure="correlation of CPU-trained and CUDA-trained win rates",
                value=float(np.corrcoef(rates["cpu"], rates["cuda"])[0, 1]),
            )
    if not CUDA or small:
        return
    whole = bert(folder / "bert-base", small=False)
    for n in (2_000, 6_000):
        rows, held = planted(n, seed=2)
        began = time.perf_counter()
        train_bert(
            read_outcomes(outcome_rows(rows, held)),
            pair=PAIR, base=whole, epochs=1, batch_size=32, device="cuda",
        )  # fmt: skip
        show(router="bert", measure="one epoch, base size", device="cuda", n=n,
             seconds=time.perf_counter() - began)  # fmt: skip


def main() -> None:
    """Measure everything, and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="tiny models: check the script only")
    small = parser.parse_args().small
    name = torch.cuda.get_device_name() if CUDA else "none"
    show(gpu=name, torch=torch.__version__, transformers=transformers.__version__)
    sizes = [1, 8] if small else [1, 16, 64, 256]
    n = 16 if small else 1024
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with part("bert: parity and throughput"):
            made = bert(folder / "bert", small=small)
            parity("bert", made)
            cases = [("cpu", "float32", 16, 16)]
            cases += [("cuda", d, b, n) for d in ("float32", "bfloat16") for b in sizes[1:]]
            throughput("bert", made, cases=cases)
        with part("causal_llm: parity"):
            parity("causal_llm", llama(folder / "llama-small", small=True, dtype=torch.float32))
        with part("training"):
            training(folder / "training", small=small)
        with part("causal_llm: throughput"):
            made = llama(folder / "llama", small=small)
            cases = [("cuda", "bfloat16", b, n // 4) for b in sizes]
            throughput("causal_llm", made, cases=cases)


if __name__ == "__main__":
    main()
