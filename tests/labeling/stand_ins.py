"""Two models and a judge on the loopback server, each a function of the request alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from routellm_core.testing import OpenAIServer, Step

__all__ = ["JUDGE", "PRICES", "STRONG", "WEAK", "respond", "stand_ins"]

STRONG, WEAK, JUDGE = "openai/big", "openai/small", "openai/judge"
PRICES = [
    "--price", f"{STRONG}=10:30", "--price", f"{WEAK}=1:3", "--price", f"{JUDGE}=1:1",
]  # fmt: skip
_HARD = ("prove", "quantum", "infinitely", "primes")


def stand_ins() -> OpenAIServer:
    """Return a server: big is always right, small on easy prompts, and the judge sees who is.

    Prompts are those of `planted`.
    """
    return OpenAIServer(respond=respond)


def respond(body: Mapping[str, Any]) -> Step:
    text = body["messages"][-1]["content"]
    if body["model"] != "judge":
        is_right = body["model"] == "big" or not any(word in text for word in _HARD)
        return Step(text=f"{'right' if is_right else 'wrong'}, says {body['model']}")
    if "ROUTE_TO" in text:
        asked = text.split("<request>")[1]
        hard = any(word in asked for word in _HARD)
        return Step(text="ROUTE_TO_SUPERIOR" if hard else "ROUTE_TO_INFERIOR")
    said = re.findall(r"<answer\w*>\n(right|wrong)", text)
    if len(said) == 1:
        return Step(text=json.dumps({"score": 5 if said[0] == "right" else 2}))
    best = "tie" if said[0] == said[1] else "A" if said[0] == "right" else "B"
    return Step(text=json.dumps({"better": best}))
