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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(Path(__file__).parent))

from http_load import Sample, Upstream, load, stream_load

PATH = "/v1/chat/completions"
MODEL = "router-random-0.5"

Figures: TypeAlias = dict[str, float]


def main() -> None:
    arguments = parse_arguments()
    if arguments.upstream_port:
        asyncio.run(serve_upstream(arguments.upstream_port, arguments.piece_delay_s))
        return
    upstream, ours, theirs = free_port(), free_port(), free_port()
    base_url = f"http://127.0.0.1:{upstream}/v1"
    own = [sys.executable, __file__, "--upstream-port", str(upstream)]
    ports = {"direct": upstream, "routellm-plugins": ours}
    with ExitStack() as running:
        running.enter_context(process(own, upstream))
        running.enter_context(process(our_command(ours, base_url), ours))
        if arguments.routellm_python:
            command = their_command(arguments.routellm_python, theirs, base_url)
            running.enter_context(process(command, theirs))
            ports["RouteLLM 0.2.0"] = theirs
        report(measure(ports, arguments), as_json=arguments.json)


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


def measure(ports: dict[str, int], arguments: argparse.Namespace) -> dict[str, Figures]:
    """Measure every server in turn, again and again, so that a busy machine is busy for all."""
    rounds: dict[str, list[Figures]] = {name: [] for name in ports}
    for port in ports.values():
        asyncio.run(load(port, path=PATH, model=MODEL, connections=4, seconds=2.0))  # warm
    for _ in range(arguments.repeats):
        for name, port in ports.items():
            rounds[name].append(measure_once(port, arguments))
    return {
        name: {key: statistics.median(figures[key] for figures in many) for key in many[0]}
        for name, many in rounds.items()
    }


def measure_once(port: int, arguments: argparse.Namespace) -> Figures:
    def loaded(connections: int) -> Sample:
        return asyncio.run(
            load(port, path=PATH, model=MODEL, connections=connections, seconds=arguments.seconds)
        )

    many, one = loaded(16), loaded(1)
    streams = asyncio.run(stream_load(port, path=PATH, model=MODEL, n=arguments.streams))
    return {
        "requests_per_s_16": many.requests_per_s,
        "p50_ms_16": many.percentile(50),
        "p99_ms_16": many.percentile(99),
        "p50_ms_1": one.percentile(50),
        "first_content_ms": streams.percentile(50),
        "failed": many.n_failed + one.n_failed + streams.n_failed,
    }


def report(figures: dict[str, Figures], *, as_json: bool) -> None:
    direct = figures["direct"]
    added = {
        name: {
            f"added_{key}": values[key] - direct[key]
            for key in ("p50_ms_1", "p50_ms_16", "first_content_ms")
        }
        for name, values in figures.items()
        if name != "direct"
    }
    if as_json:
        print(json.dumps({"measured": figures, "added": added}, indent=1))
        return
    for table in (figures, added):
        for name, values in table.items():
            print(f"{name:18}", *(f"{key} {value:.2f}" for key, value in values.items()), sep="  ")


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
