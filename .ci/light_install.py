"""Decide one prompt on the base install: no socket, no key, no heavy library."""

import os
import socket
import sys
from typing import Any, NoReturn


def refuse(*_: Any, **__: Any) -> NoReturn:
    """Stand in for every way to open a connection."""
    raise RuntimeError("the light install opened a socket")


socket.socket = refuse  # type: ignore[assignment,misc]
socket.create_connection = refuse
socket.getaddrinfo = refuse
for name in [name for name in os.environ if name.endswith("_API_KEY")]:
    del os.environ[name]

import routellm_core  # noqa: E402 - after the sockets are closed

router = routellm_core.load_router("mf")
win_rates = router.win_rates(["Hello!", "Derive the Navier-Stokes equations."])
HEAVY = {"torch", "litellm", "pandas", "transformers", "langchain_core", "llama_index", "openai"}
loaded = HEAVY & {name.split(".")[0] for name in sys.modules}
if loaded:
    raise SystemExit(f"the light install loaded {sorted(loaded)}")
if not win_rates[0] < win_rates[1]:
    raise SystemExit(f"a greeting must have the lower win rate, got {win_rates.tolist()}")
threshold = routellm_core.router_threshold(router, strong_share=0.3)
print(f"decided without a key: {win_rates.round(3).tolist()}, threshold {threshold:.3f}")
