"""Embedders of other libraries, the cache, and names."""

import asyncio
import gc
import json
import pickle
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from routellm_core import CheckpointError, ConfigurationError, RouterError
from routellm_core.checkpoints import Checkpoint
from routellm_core.embedders import (
    CachedEmbedder,
    FrameworkEmbedder,
    LiteLLMEmbedder,
    SentenceTransformersEmbedder,
    load_embedder,
)
from routellm_core.embedders.loading import embedder_for
from routellm_core.testing import HashingEmbedder

# LiteLLM leaves an event loop of its own open after an error.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Api(BaseHTTPRequestHandler):
    """An OpenAI-compatible embeddings API that fails as often as it is told."""

    failures: list[int]
    inputs: list[list[str]]

    def log_message(self, *_) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.failures.pop(0) if self.failures else 200
        if status == 200:
            self.inputs.append(body["input"])
            rows = [
                {"object": "embedding", "index": i, "embedding": [float(len(text)), 1.0]}
                for i, text in enumerate(body["input"])
            ]
            # Out of order, as the index allows.
            content = {"object": "list", "data": rows[::-1], "model": body["model"], "usage": {}}
            content["usage"] = {"prompt_tokens": 1, "total_tokens": 1}
        else:
            content = {"error": {"message": "no", "type": "x", "code": str(status)}}
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@pytest.fixture
def api(monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    monkeypatch.setattr("routellm_core.embedders.litellm._FIRST_WAIT_S", 0.001)
    Api.failures, Api.inputs = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
    gc.collect()  # what LiteLLM leaves open is told here, and not to a later test


def client(api, **options) -> LiteLLMEmbedder:
    url = f"http://127.0.0.1:{api.server_port}"
    return LiteLLMEmbedder("openai/small", api_key="none", api_base=url, **options)


@pytest.mark.loopback
def test_litellm_sends_batches_and_keeps_the_order(api) -> None:
    vectors = client(api, batch_size=2).embed(["a", "bbb", "cc", "", "\ud800"])
    assert vectors.tolist() == [[1, 1], [3, 1], [2, 1], [1, 1], [1, 1]]
    assert vectors.dtype == np.float32
    assert Api.inputs == [["a", "bbb"], ["cc", " "], ["?"]]


@pytest.mark.loopback
def test_litellm_cuts_long_texts(api) -> None:
    assert client(api, max_chars=5).embed(["x" * 100])[0, 0] == 5


@pytest.mark.loopback
async def test_litellm_waits_without_a_thread(api) -> None:
    Api.failures = [500]
    vectors = await client(api).aembed(["a", "bb"])
    assert vectors.tolist() == [[1, 1], [2, 1]]


@pytest.mark.loopback
def test_a_fault_that_passes_is_tried_again(api) -> None:
    Api.failures = [429, 503]
    assert client(api).embed(["a"]).tolist() == [[1, 1]]


@pytest.mark.loopback
def test_a_fault_that_does_not_pass_is_told_after_the_last_try(api) -> None:
    Api.failures = [500] * 100
    with pytest.raises(RouterError, match="after 3 tries"):
        client(api, max_retries=2).embed(["a"])


@pytest.mark.loopback
def test_a_refusal_is_not_tried_again(api) -> None:
    Api.failures = [401] * 5
    with pytest.raises(RouterError, match="Embedding with 'openai/small' failed:"):
        client(api).embed(["a"])
    assert len(Api.failures) == 4


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_missing_key_is_told_at_once_and_without_litellms_advice(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], asynchronous: bool
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("routellm_core.embedders.litellm._FIRST_WAIT_S", 60.0)
    embedder = LiteLLMEmbedder("text-embedding-3-small")
    with pytest.raises(RouterError, match=r"failed: .*OPENAI_API_KEY"):
        asyncio.run(embedder.aembed(["a"])) if asynchronous else embedder.embed(["a"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"max_chars": 0}, {"max_retries": -1}, {"timeout_s": 0.0}]
)
def test_litellm_settings_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(ConfigurationError):
        LiteLLMEmbedder("m", **wrong)


class Counting(HashingEmbedder):
    """Count the texts that are really embedded."""

    def __init__(self) -> None:
        super().__init__(dimension=4)
        self.texts: list[str] = []

    def embed(self, texts):
        self.texts += texts
        return super().embed(texts)


def test_the_cache_asks_for_each_text_once_across_objects(tmp_path) -> None:
    first, second = Counting(), Counting()
    path = tmp_path / "new" / "cache.db"
    expected = HashingEmbedder(dimension=4).embed(["a b", "c", "a b"])
    np.testing.assert_array_equal(CachedEmbedder(first, path).embed(["a b", "c", "a b"]), expected)
    np.testing.assert_array_equal(
        CachedEmbedder(second, path).embed(["c", "a b", "d"])[:2], expected[[1, 0]]
    )
    assert first.texts == ["a b", "c"]
    assert second.texts == ["d"]


def test_the_cache_keeps_embedders_apart(tmp_path) -> None:
    path = tmp_path / "cache.db"
    CachedEmbedder(HashingEmbedder(dimension=4), path).embed(["a"])
    assert CachedEmbedder(HashingEmbedder(dimension=8), path).embed(["a"]).shape == (1, 8)


def test_the_cache_is_shared_by_threads_and_can_be_pickled(tmp_path) -> None:
    cached = CachedEmbedder(HashingEmbedder(dimension=4), tmp_path / "cache.db")
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            cached.embed([f"text {number % 3} {i}" for i in range(20)])
        except Exception as error:  # noqa: BLE001 - to be shown
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    copy = pickle.loads(pickle.dumps(cached))
    np.testing.assert_array_equal(copy.embed(["text 1 1"]), cached.embed(["text 1 1"]))


def test_an_async_embedder_stays_async_in_the_cache(tmp_path) -> None:
    class Async(Counting):
        async def aembed(self, texts):
            await asyncio.sleep(0)
            return Counting.embed(self, texts)

    inner = Async()
    cached = CachedEmbedder(inner, tmp_path / "cache.db")
    vectors = asyncio.run(cached.aembed(["a", "b", "a"]))
    np.testing.assert_array_equal(vectors, cached.embed(["a", "b", "a"]))
    assert inner.texts == ["a", "b"]


def test_an_embedder_without_an_identity_is_not_cached(tmp_path) -> None:
    class Nameless:
        def embed(self, texts):
            return np.zeros((len(texts), 2))

    with pytest.raises(ConfigurationError, match="`identity`"):
        CachedEmbedder(Nameless(), tmp_path / "cache.db")


class LangChainLike:
    def embed_documents(self, texts):
        return [[float(len(text))] for text in texts]

    async def aembed_documents(self, texts):
        return self.embed_documents(texts)


class LlamaIndexLike:
    def get_text_embedding_batch(self, texts):
        return [[float(len(text))] for text in texts]

    async def aget_text_embedding_batch(self, texts):
        return self.get_text_embedding_batch(texts)


@pytest.mark.parametrize("embeddings", [LangChainLike(), LlamaIndexLike()])
def test_a_frameworks_embeddings_are_used_sync_and_async(embeddings) -> None:
    embedder = FrameworkEmbedder(embeddings, identity="mine")
    assert embedder.embed(["a", "bb"]).tolist() == [[1.0], [2.0]]
    assert asyncio.run(embedder.aembed(["a", "bb"])).tolist() == [[1.0], [2.0]]
    assert embedder.identity == "mine"


def test_what_no_framework_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="LangChain"):
        FrameworkEmbedder(object(), identity="x")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("litellm:text-embedding-3-small", LiteLLMEmbedder),
        ("litellm:text-embedding-3-small@256", LiteLLMEmbedder),
        ("sentence-transformers:all-MiniLM-L6-v2", SentenceTransformersEmbedder),
    ],
)
def test_a_name_gives_the_embedder_that_records_it(name, kind) -> None:
    embedder = load_embedder(name)
    assert type(embedder) is kind
    assert embedder.identity == name


@pytest.mark.parametrize("name", ["openai", "litellm:", "sentence-transformers", ""])
def test_an_unknown_name_is_refused(name) -> None:
    with pytest.raises(ConfigurationError, match="Known are"):
        load_embedder(name)


def test_a_checkpoint_loads_the_embedder_that_it_records() -> None:
    recorded = Checkpoint("knn", embedder="litellm:text-embedding-3-small")
    assert embedder_for(recorded, None).identity == "litellm:text-embedding-3-small"
    with pytest.raises(CheckpointError, match="one without an `identity`"):
        embedder_for(recorded, FakeNameless())
    with pytest.raises(CheckpointError, match="does not say"):
        embedder_for(Checkpoint("knn"), None)


class FakeNameless:
    def embed(self, texts):
        return np.zeros((len(texts), 2))


def test_sentence_transformers_embeds_and_cuts_long_texts(tmp_path) -> None:
    pytest.importorskip("sentence_transformers")
    from tiny_checkpoints import tiny_bert

    folder = str(tiny_bert(tmp_path / "bert"))
    embedder = SentenceTransformersEmbedder(folder, device="cpu", batch_size=2)
    vectors = embedder.embed(["hello", "what is the capital of france", "", "\ud800"])
    assert vectors.shape == (4, 32)
    assert vectors.dtype == np.float32
    same, other = embedder.embed(["hello " * 64 + "python", "hello " * 64 + "poem"])
    # Lengths 1, from float32 sums over 32 numbers and two layers: some ten roundings of 1e-7 each,
    # and batches of other shapes add in another order.
    np.testing.assert_allclose(same, other, rtol=0, atol=1e-5)
    copy = pickle.loads(pickle.dumps(embedder))
    np.testing.assert_allclose(copy.embed(["hello"])[0], vectors[0], rtol=0, atol=1e-5)


def test_a_model_that_is_not_there_says_what_to_pass(tmp_path) -> None:
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ConfigurationError, match="could not be loaded"):
        SentenceTransformersEmbedder(str(tmp_path / "nothing")).embed(["a"])
