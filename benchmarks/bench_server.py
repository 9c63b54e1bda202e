"""The server against RouteLLM's, with the same upstream, the same load, in one run.

    python benchmarks/bench_server.py --routellm-python /path/to/venv/bin/python

The other interpreter needs `routellm[serve]==0.2.0`. Every process runs on this machine and
speaks over its loopback address. The upstream answers at once, so that what is left is the
server's own time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(Path(__file__).parent))

from http_load import Sample, Upstream, load, stream_load

PATH = "/v1/chat/completions"
MODEL = "router-random-0.5"


def main() -> None:
    arguments = parse_arguments()
    if arguments.upstream_port:
        asyncio.run(serve_upstream(arguments.upstream_port, arguments.piece_delay_s))
        return
    upstream, ours, theirs = free_port(), free_port(), free_port()
    base_url = f"http://127.0.0.1:{upstream}/v1"
    own = [sys.executable, __file__, "--upstream-port", str(upstream)]
    with process(own, upstream), process(our_command(ours, base_url), ours):
        figures = {
            "direct": measure(upstream, arguments),
            "routellm-plugins": measure(ours, arguments),
        }
    if arguments.routellm_python:
        command = their_command(arguments.routellm_python, theirs, base_url)
        with process(own, upstream), process(command, theirs):
            figures["direct, again"] = measure(upstream, arguments)
            figures["RouteLLM 0.2.0"] = measure(theirs, arguments)
    report(figures, as_json=arguments.json)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--routellm-python", help="interpreter that has routellm 0.2.0")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--repeats", type=int, default=3, help="of each load; medians are shown")
    parser.add_argument("--streams", type=int, default=200, help="of each stream load")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--upstream-port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--piece-delay-s", type=float, default=0.0, help=argparse.SUPPRESS)
    return parser.parse_args()


def our_command(port: int, base_url: str) -> list[str]:
    run = "from routellm_core.cli import main; main()"
    return [
        sys.executable, "-c", run, "serve", "--routers", "random",
        "--strong-model", "openai/strong", "--weak-model", "openai/weak",
        "--base-url", base_url, "--port", str(port),
    ]  # fmt: skip


def their_command(python: str, port: int, base_url: str) -> list[str]:
    return [
        python, "-m", "routellm.openai_server", "--routers", "random",
        "--strong-model", "openai/strong", "--weak-model", "openai/weak",
        "--base-url", base_url, "--api-key", "stub", "--port", str(port),
    ]  # fmt: skip


async def serve_upstream(port: int, piece_delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(piece_delay_s), "127.0.0.1", port)
    await server.serve_forever()


def measure(port: int, arguments: argparse.Namespace) -> dict[str, Any]:
    def loads(connections: int) -> list[Sample]:
        return [
            asyncio.run(
                load(
                    port,
                    path=PATH,
                    model=MODEL,
                    connections=connections,
                    seconds=arguments.seconds,
                )
            )
            for _ in range(arguments.repeats)
        ]

    asyncio.run(load(port, path=PATH, model=MODEL, connections=4, seconds=2.0))  # warm
    many, one = loads(16), loads(1)
    streams = [
        asyncio.run(stream_load(port, path=PATH, model=MODEL, n=arguments.streams))
        for _ in range(arguments.repeats)
    ]
    return {
        "requests_per_s_16": statistics.median(sample.requests_per_s for sample in many),
        "p50_ms_16": statistics.median(sample.percentile(50) for sample in many),
        "p99_ms_16": statistics.median(sample.percentile(99) for sample in many),
        "p50_ms_1": statistics.median(sample.percentile(50) for sample in one),
        "first_content_ms": statistics.median(sample.percentile(50) for sample in streams),
        "failed": sum(sample.n_failed for sample in [*many, *one, *streams]),
    }


def report(figures: dict[str, dict[str, Any]], *, as_json: bool) -> None:
    ours, theirs = figures["routellm-plugins"], figures.get("RouteLLM 0.2.0")
    direct = figures["direct"]
    derived = {
        "added_p50_ms_1": ours["p50_ms_1"] - direct["p50_ms_1"],
        "added_first_content_ms": ours["first_content_ms"] - direct["first_content_ms"],
    }
    if theirs:
        base = figures["direct, again"]
        derived |= {
            "routellm_added_p50_ms_1": theirs["p50_ms_1"] - base["p50_ms_1"],
            "routellm_added_first_content_ms": theirs["first_content_ms"]
            - base["first_content_ms"],
            "times_requests_per_s_16": ours["requests_per_s_16"] / theirs["requests_per_s_16"],
        }
    if as_json:
        print(json.dumps({**figures, "derived": derived}, indent=1))
        return
    for name, values in figures.items():
        print(f"{name:18}", *(f"{key} {value:.2f}" for key, value in values.items()), sep="  ")
    for key, value in derived.items():
        print(f"{key} {value:.2f}")


@contextmanager
def process(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; enter it when the port accepts."""
    environment = {
        **os.environ,
        "OPENAI_API_KEY": "stub",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        try:
            wait_for(port, child)
            yield child
        finally:
            child.terminate()


def wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if child.poll() is not None:
            raise SystemExit(f"{child.args!r} ended with {child.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"{child.args!r} does not listen")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
