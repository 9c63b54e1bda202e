"""Two character-level transformers that learn to add, and an OpenAI-compatible server of them."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

CHARACTERS = "0123456789+=;"
PLACE = {character: place for place, character in enumerate(CHARACTERS)}
END = PLACE[";"]
LONGEST_ANSWER = 5


@dataclass(frozen=True)
class Size:
    """How large a model is, and how long it learns."""

    width: int
    layers: int
    steps: int
    three_digits: float
    """The share of numbers with three digits among those that it learns from."""


class Written(NamedTuple):
    """An answer: its characters as they were written, and the log-probability of each."""

    characters: str
    logprobs: list[float]

    @property
    def text(self) -> str:
        """The sum as people write it: the model writes the last digit first."""
        return self.characters.rstrip(";")[::-1] or "?"


def drawn(rng: np.random.Generator, n: int, *, three_digits: float = 0.5) -> list[tuple[int, int]]:
    """Draw pairs of numbers of one, two or three digits."""
    shares = [(1 - three_digits) / 2, (1 - three_digits) / 2, three_digits]
    digits = rng.choice([1, 2, 3], size=(n, 2), p=shares)
    return [tuple(int(rng.integers(0, 10**d)) for d in row) for row in digits.tolist()]


def learned(size: Size, *, batch: int, seed: int) -> GPT2LMHeadModel:
    """Train a model to continue "12+30=" with "24;", the sum's last digit first."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    config = GPT2Config(
        vocab_size=len(CHARACTERS), n_positions=16, n_embd=size.width, n_layer=size.layers,
        n_head=4, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=END, eos_token_id=END,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=size.steps)
    for _ in range(size.steps):
        rows, labels = [], []
        for a, b in drawn(rng, batch, three_digits=size.three_digits):
            asked, answer = f"{a}+{b}=", f"{str(a + b)[::-1]};"
            row = [PLACE[c] for c in asked + answer]
            rows.append(row + [END] * (16 - len(row)))
            labels.append([-100] * len(asked) + row[len(asked) :] + [-100] * (16 - len(row)))
        loss = model(input_ids=torch.tensor(rows), labels=torch.tensor(labels)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def written(model: GPT2LMHeadModel, sums: Sequence[tuple[int, int]]) -> list[Written]:
    """Return the most probable continuation of each sum, character by character."""
    found: list[Written] = [Written("", []) for _ in sums]
    by_length: dict[int, list[int]] = {}
    for place, (a, b) in enumerate(sums):
        by_length.setdefault(len(f"{a}+{b}="), []).append(place)
    for places in by_length.values():
        asked = ["{}+{}=".format(*sums[place]) for place in places]
        rows = torch.tensor([[PLACE[c] for c in text] for text in asked])
        done = torch.zeros(len(places), dtype=torch.bool)
        for _ in range(LONGEST_ANSWER):
            logprobs = model(input_ids=rows).logits[:, -1].log_softmax(-1)
            best, chosen = logprobs.max(-1)
            for row in (~done).nonzero().flatten().tolist():
                before = found[places[row]]
                found[places[row]] = Written(
                    before.characters + CHARACTERS[chosen[row]],
                    [*before.logprobs, min(0.0, float(best[row]))],
                )
            done |= chosen == END
            if done.all():
                break
            rows = torch.cat([rows, chosen[:, None]], dim=1)
    return found


def prompt_of(a: int, b: int) -> str:
    """Return the question that a person would ask."""
    return f"What is {a} + {b}?"


def sum_of(prompt: str) -> tuple[int, int]:
    """Return the numbers of a question."""
    a, b = map(int, re.findall(r"\d+", prompt)[:2])
    return a, b


@contextmanager
def served(models: dict[str, GPT2LMHeadModel]) -> Iterator[str]:
    """Serve the models with OpenAI's protocol on the loopback address; yield the address."""
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = sum_of(request["messages"][-1]["content"])
            with one_at_a_time:
                answer = written(models[request["model"]], [asked])[0]
            body = json.dumps(completion(request, answer, asked)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def completion(request: dict[str, Any], answer: Written, asked: tuple[int, int]) -> dict[str, Any]:
    """Return an answer as OpenAI's API words it."""
    content = [
        {"token": c, "logprob": p, "bytes": None, "top_logprobs": []}
        for c, p in zip(answer.characters, answer.logprobs, strict=True)
    ]
    read = len("{}+{}=".format(*asked))
    return {
        "id": "chatcmpl-small", "object": "chat.completion", "created": int(time.time()),
        "model": request["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": "stop",
                "logprobs": {"content": content} if request.get("logprobs") else None,
            }
        ],
        "usage": {
            "prompt_tokens": read, "completion_tokens": len(content),
            "total_tokens": read + len(content),
        },
    }  # fmt: skip
