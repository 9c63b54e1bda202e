"""What LangSmith's and Langfuse's own clients send: the run of the model that answered."""

from __future__ import annotations

import email.parser
import email.policy
import gzip
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from langfuse import Langfuse
from langfuse.langchain import CallbackHandler
from langsmith import Client, tracing_context
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider

from langchain_routellm import RoutedChatModel
from routellm_core.testing import OpenAIServer, Step

pytestmark = pytest.mark.loopback

EASY, HARD = "Hi", "Prove it"
PROMPT = ChatPromptTemplate.from_template("{x}")
ROUTELLM_KEYS = {"route", "model", "win_rate", "threshold", "router", "reason", "latency_ms"}


class TraceServer(ThreadingHTTPServer):
    """Keep what is posted to this machine's loopback address."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[tuple[str, str, bytes]] = []
        """Path, content type and body of each request, in order of arrival."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        # LangSmith's client asks what the server can do.
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.bodies.append((self.path, self.headers["Content-Type"], body))  # type: ignore[attr-defined]
        self._answer({})

    def _answer(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[TraceServer]:
    with TraceServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def traced(receiver: TraceServer) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Trace to the receiver, as LANGSMITH_TRACING=true does; the value returns the runs sent."""
    client = Client(api_url=receiver.url, api_key="test")

    def runs() -> list[dict[str, Any]]:
        client.flush()
        return runs_of(receiver.bodies)

    with tracing_context(enabled=True, client=client, project_name="routed"):
        yield runs
    client.cleanup()


def runs_of(bodies: list[tuple[str, str, bytes]]) -> list[dict[str, Any]]:
    """Put the runs together from the parts "post.<id>", "post.<id>.extra", "patch.<id>" ..."""
    runs: dict[str, dict[str, Any]] = {}
    for path, content_type, body in bodies:
        assert path == "/runs/multipart"
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        for part in message.iter_parts():
            name = part.get_param("name", header="content-disposition")
            _, identity, *field = str(name).split(".")
            value = json.loads(part.get_payload(decode=True))
            runs.setdefault(identity, {}).update({field[0]: value} if field else value)
    return sorted(runs.values(), key=lambda run: run["dotted_order"])


def model_runs(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [run for run in runs if run["run_type"] == "llm"]


def metadata_of(run: dict[str, Any]) -> dict[str, Any]:
    return run["extra"]["metadata"]


@pytest.fixture
def routed(server: OpenAIServer, make: Callable[..., RoutedChatModel]) -> RoutedChatModel:
    strong, weak = (
        ChatOpenAI(
            model=name, base_url=server.base_url, api_key="test", max_retries=0, stream_usage=True
        )
        for name in ("gpt-4o", "gpt-4o-mini")
    )
    return make(strong=strong, weak=weak)


async def ask(chain: Any, way: str, words: str, callbacks: Sequence[Any] = ()) -> str:
    """Ask in one of the four ways; return the answer's words."""
    given, config = {"x": words}, {"callbacks": list(callbacks)}
    if way == "invoke":
        return chain.invoke(given, config).text
    if way == "ainvoke":
        return (await chain.ainvoke(given, config)).text
    if way == "stream":
        return "".join(chunk.text for chunk in chain.stream(given, config))
    return "".join([chunk.text async for chunk in chain.astream(given, config)])


WAYS = ["invoke", "ainvoke", "stream", "astream"]
BOTH = pytest.mark.parametrize(
    ("words", "route", "model"), [(EASY, "weak", "gpt-4o-mini"), (HARD, "strong", "gpt-4o")]
)


# LangSmith


@pytest.mark.parametrize("way", WAYS)
@BOTH
async def test_langsmith_gets_one_model_run_and_it_names_the_model_that_answered(
    routed, traced, way: str, words: str, route: str, model: str
) -> None:
    answer = await ask(PROMPT | routed, way, words)
    assert answer == f"{model} heard: {words}"

    runs = traced()
    (run,) = model_runs(runs)
    assert sorted(run["name"] for run in runs) == [
        "ChatOpenAI",
        "ChatPromptTemplate",
        "RunnableSequence",
    ]
    assert run["name"] == run["serialized"]["name"]
    assert run["parent_run_id"] == runs[0]["id"]
    assert f"routellm:{route}" in run["tags"]
    # What LangSmith looks prices up by, and what it multiplies them with.
    metadata = metadata_of(run)
    assert metadata["ls_model_name"] == model
    assert metadata["ls_provider"] == "openai"
    assert run["extra"]["invocation_params"]["model"] == model
    assert metadata["usage_metadata"]["total_tokens"] > 0
    (generation,) = run["outputs"]["generations"][0]
    assert generation["message"]["kwargs"]["usage_metadata"] == metadata["usage_metadata"]
    # What the routing adds.
    assert {key for key in metadata if key.startswith("routellm_")} == {
        f"routellm_{key}" for key in ROUTELLM_KEYS
    }
    assert metadata["routellm_route"] == route
    assert metadata["routellm_model"] == model
    assert metadata["routellm_reason"] == "win_rate"


@pytest.mark.parametrize("way", WAYS)
async def test_langsmith_sees_a_failed_attempt_and_the_answer_as_runs_of_their_own_models(
    routed, traced, server: OpenAIServer, way: str
) -> None:
    server.script(Step(status=503), model="gpt-4o-mini")
    assert await ask(PROMPT | routed, way, EASY) == f"gpt-4o heard: {EASY}"

    failed, answered = model_runs(traced())
    assert metadata_of(failed)["ls_model_name"] == "gpt-4o-mini"
    assert "503" in failed["error"]
    assert "usage_metadata" not in metadata_of(failed)
    assert metadata_of(answered)["ls_model_name"] == "gpt-4o"
    assert metadata_of(answered)["routellm_route"] == "strong"
    assert metadata_of(answered)["routellm_reason"].startswith("escalation:")
    assert answered.get("error") is None
    assert metadata_of(answered)["usage_metadata"]["total_tokens"] > 0


async def test_langsmith_sees_the_provider_of_either_model(make, fake, routed, traced) -> None:
    mixed = make(strong=routed.strong, weak=fake(model="home-made"))
    for words in (EASY, HARD):
        await ask(PROMPT | mixed, "invoke", words)
    seen = [
        (metadata_of(run)["ls_provider"], metadata_of(run)["ls_model_name"], run["name"])
        for run in model_runs(traced())
    ]
    assert sorted(seen) == [
        ("fakechatmodel", "home-made", "FakeChatModel"),
        ("openai", "gpt-4o", "ChatOpenAI"),
    ]


# Langfuse


class Watched:
    """Langfuse's handler, and what its client sent."""

    def __init__(self, receiver: TraceServer) -> None:
        self._receiver = receiver
        self.client = Langfuse(
            public_key=receiver.url,  # clients are kept by this key
            secret_key="test",
            base_url=receiver.url,
            tracer_provider=TracerProvider(),
        )
        self.handler = CallbackHandler(public_key=receiver.url)

    def generations(self) -> list[tuple[str, dict[str, str]]]:
        """Return the name and attributes of each model call, in order of their beginnings."""
        self.client.flush()
        spans = []
        for path, _, body in self._receiver.bodies:
            assert path == "/api/public/otel/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans += [span for scope in resource.scope_spans for span in scope.spans]
        found = []
        for span in sorted(spans, key=lambda span: span.start_time_unix_nano):
            attributes = {
                # Since version 5, strings in the metadata are sent as JSON.
                item.key.removeprefix("langfuse.observation."): item.value.string_value.strip('"')
                for item in span.attributes
            }
            if attributes["type"] == "generation":
                found.append((span.name, attributes))
        return found


@pytest.fixture
def watched(receiver: TraceServer) -> Iterator[Watched]:
    watched = Watched(receiver)
    yield watched
    watched.client.shutdown()


@pytest.mark.parametrize("way", WAYS)
@BOTH
async def test_langfuse_gets_one_generation_and_it_names_the_model_that_answered(
    routed, watched: Watched, way: str, words: str, route: str, model: str
) -> None:
    answer = await ask(PROMPT | routed, way, words, [watched.handler])
    assert answer == f"{model} heard: {words}"

    ((name, attributes),) = watched.generations()
    assert name == "ChatOpenAI"
    assert attributes["model.name"] == model
    assert json.loads(attributes["usage_details"])["total"] > 0
    assert attributes["metadata.routellm_route"] == route
    assert attributes["metadata.routellm_model"] == model
    assert attributes["metadata.routellm_reason"] == "win_rate"
    assert attributes["metadata.ls_provider"] == "openai"


@pytest.mark.parametrize("way", WAYS)
async def test_langfuse_sees_a_failed_attempt_and_the_answer_as_their_own_models(
    routed, watched: Watched, server: OpenAIServer, way: str
) -> None:
    server.script(Step(status=503), model="gpt-4o-mini")
    await ask(PROMPT | routed, way, EASY, [watched.handler])

    (_, failed), (_, answered) = watched.generations()
    assert (failed["model.name"], failed["level"]) == ("gpt-4o-mini", "ERROR")
    assert "usage_details" not in failed
    assert (answered["model.name"], answered.get("level", "DEFAULT")) == ("gpt-4o", "DEFAULT")
    assert answered["metadata.routellm_reason"].startswith("escalation:")
    assert json.loads(answered["usage_details"])["total"] > 0
