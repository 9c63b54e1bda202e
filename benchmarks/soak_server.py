"""Mixed load on the server: whole answers, streams, tools, clients that leave, broken bodies.

    python benchmarks/soak_server.py --minutes 10

Ends with exit code 1 when memory or open sockets grow, a place is not given back, or a request
that should have been answered was not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent))

from bench_server import free_port, our_command, process

PATH = "/v1/chat/completions"
IDLE_S = (
    75.0  # in which idle connections to the upstream are closed: 30 to 60 s after their last use
)
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--pause-s", type=float, default=0.02, help="of a client between requests")
    parser.add_argument("--settle-s", type=float, default=60.0, help="before memory is compared")
    arguments = parser.parse_args()
    upstream, port = free_port(), free_port()
    own = [sys.executable, str(Path(__file__).parent / "bench_server.py")]
    own += ["--upstream-port", str(upstream), "--piece-delay-s", "0.01"]
    command = our_command(port, f"http://127.0.0.1:{upstream}/v1")
    with process(own, upstream), process(command, port) as server:
        asyncio.run(soak(port, server.pid, arguments))


async def soak(port: int, pid: int, arguments: argparse.Namespace) -> None:
    seen: Counter[str] = Counter()
    stop = time.monotonic() + 60 * arguments.minutes
    samples: list[tuple[float, int, int]] = []
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        clients = [
            asyncio.create_task(client(session, port, seed, stop, arguments.pause_s, seen))
            for seed in range(arguments.clients)
        ]
        began = time.monotonic()
        settle_s = min(arguments.settle_s, 6 * arguments.minutes)
        while not all(task.done() for task in clients):
            await asyncio.sleep(min(5.0, 6 * arguments.minutes))
            samples.append((time.monotonic() - began, resident_kib(pid), n_sockets(pid)))
            print(f"{samples[-1][0]:6.0f} s  {samples[-1][1] / 1024:7.1f} MiB", end="  ")
            print(f"{samples[-1][2]} sockets  {sum(seen.values())} requests", flush=True)
        await asyncio.gather(*clients)
        await asyncio.sleep(1.0)
        metrics = await (await session.get("/metrics")).text()
    await asyncio.sleep(IDLE_S)
    judge(seen, samples, metrics, n_sockets(pid), settle_s)


def judge(
    seen: Counter[str],
    samples: list[tuple[float, int, int]],
    metrics: str,
    sockets_left: int,
    settle_s: float,
) -> None:
    settled = [memory for at, memory, _ in samples if at >= settle_s]
    third = max(1, len(settled) // 3)
    early, late = max(settled[:third]), max(settled[-third:])
    running = next(
        line for line in metrics.splitlines() if line.startswith("routellm_requests_in_progress ")
    )
    print(dict(sorted(seen.items())))
    print(f"memory: {early / 1024:.1f} MiB early, {late / 1024:.1f} MiB late")
    print(f"{running}; {sockets_left} sockets left open")
    failed = [
        late > 1.05 * early + 1024,
        not running.endswith(" 0.0"),
        sockets_left > 6,  # the listener and the loop's own
        any(name.startswith("wrong") for name in seen),
    ]
    raise SystemExit(1 if any(failed) else 0)


async def client(
    session: aiohttp.ClientSession,
    port: int,
    seed: int,
    stop: float,
    pause_s: float,
    seen: Counter[str],
) -> None:
    """Do one thing after the other until the time is over."""
    draw = random.Random(seed)
    kinds = [whole, streamed, with_tools, leaving, leaving_early, broken, unknown, torn]
    while time.monotonic() < stop:
        kind = draw.choices(kinds, weights=[6, 6, 3, 3, 2, 2, 1, 1])[0]
        outcome = await kind(session, port, draw)
        seen[f"{'' if outcome else 'wrong '}{kind.__name__}"] += 1
        await asyncio.sleep(draw.random() * 2 * pause_s)


def body(draw: random.Random, **fields: object) -> dict[str, object]:
    text = "word " * draw.choice([1, 10, 100, 5000]) + str(draw.random())
    return {"model": "auto", "messages": [{"role": "user", "content": text}], **fields}


async def whole(session: aiohttp.ClientSession, _: int, draw: random.Random) -> bool:
    async with session.post(PATH, json=body(draw)) as answer:
        return answer.status == 200 and bool((await answer.json())["choices"])


async def streamed(session: aiohttp.ClientSession, _: int, draw: random.Random) -> bool:
    async with session.post(PATH, json=body(draw, stream=True)) as answer:
        return (await answer.read()).endswith(b"data: [DONE]\n\n")


async def with_tools(session: aiohttp.ClientSession, _: int, draw: random.Random) -> bool:
    fields = body(draw, tools=[TOOL], stream=draw.random() < 0.5)
    async with session.post(PATH, json=fields) as answer:
        return answer.status == 200 and bool(await answer.read())


async def leaving(session: aiohttp.ClientSession, _: int, draw: random.Random) -> bool:
    answer = await session.post(PATH, json=body(draw, stream=True))
    await answer.content.readany()
    answer.close()
    return True


async def leaving_early(session: aiohttp.ClientSession, _: int, draw: random.Random) -> bool:
    with contextlib.suppress(asyncio.TimeoutError):
        request = session.post(PATH, json=body(draw, stream=draw.random() < 0.5))
        answer = await asyncio.wait_for(request, draw.random() * 0.01)
        answer.close()
    return True


async def broken(session: aiohttp.ClientSession, _: int, draw: random.Random) -> bool:
    raw = draw.choice([b"", b"{", b"[" * 5000, b'{"model": 3}', b"\xff", b'{"a": NaN}'])
    headers = {"content-type": "application/json"}
    async with session.post(PATH, data=raw, headers=headers) as answer:
        return answer.status == 400 and "error" in await answer.json()


async def unknown(session: aiohttp.ClientSession, _: int, draw: random.Random) -> bool:
    async with session.post(PATH, json={**body(draw), "model": "gpt-9"}) as answer:
        return answer.status == 404


async def torn(_: aiohttp.ClientSession, port: int, draw: random.Random) -> bool:
    """Announce a body, send a part of it, and leave."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    raw = json.dumps(body(draw)).encode()
    writer.write(
        f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"content-length: {len(raw)}\r\n\r\n".encode()
        + raw[: len(raw) // 2]
    )
    await writer.drain()
    writer.close()
    return True


def resident_kib(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def n_sockets(pid: int) -> int:
    links = []
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    return sum(link.startswith("socket:") for link in links)


if __name__ == "__main__":
    main()
