"""What users say of answers, and the calls that it belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from routellm_core.monitoring import LogReader
from routellm_core.testing import OpenAIServer
from tests.server.conftest import KEY, serving

pytestmark = pytest.mark.loopback


@pytest.fixture
def rated(upstream: OpenAIServer, tmp_path: Path) -> Any:
    with serving(upstream, record_log=str(tmp_path / "calls.jsonl"), api_key=KEY) as served:
        yield served, tmp_path / "calls.jsonl"


def notes_of(log: Path) -> list[Any]:
    reader = LogReader(log)
    reader.notes = []
    assert len(list(reader)) >= 0
    assert reader.n_bad == 0
    return reader.notes


@pytest.mark.parametrize(
    ("said", "score"), [({"thumb": "up"}, 1.0), ({"thumb": "down"}, 0.0), ({"score": 0.25}, 0.25)]
)
def test_an_outcome_is_joined_to_its_call_by_the_id_in_the_answers_header(
    rated: Any, said: dict[str, Any], score: float
) -> None:
    served, log = rated
    call_id = served.post().headers["x-routellm-call-id"]
    with served.client() as client:
        answer = client.post("/v1/outcomes", json={"call_id": call_id, "comment": "Hm.", **said})
    assert (answer.status_code, answer.json()) == (202, {"object": "outcome", "call_id": call_id})
    assert [record.call_id for record in LogReader(log)] == [call_id]
    [note] = notes_of(log)
    assert (note.call_id, note.score, note.comment) == (call_id, score, "Hm.")


def test_a_stream_and_the_decision_in_a_body_name_the_call_too(rated: Any) -> None:
    served, log = rated
    with served.client() as client:
        body = {"model": "auto", "messages": [{"role": "user", "content": "Hello!"}]}
        whole = client.post("/v1/chat/completions", json={**body, "routellm": {"decision": True}})
        streamed = client.post("/v1/chat/completions", json={**body, "stream": True})
    ids = [whole.json()["routellm"]["call_id"], streamed.headers["x-routellm-call-id"]]
    assert [record.call_id for record in LogReader(log)] == ids


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        json.dumps({"call_id": "01234567-1-1"}).encode(),
        json.dumps({"call_id": "01234567-1-1", "thumb": "up", "score": 1.0}).encode(),
        json.dumps({"call_id": "01234567-1-1", "thumb": "sideways"}).encode(),
        json.dumps({"call_id": "01234567-1-1", "score": 1.5}).encode(),
        b'{"call_id": "01234567-1-1", "score": NaN}',
        json.dumps({"call_id": "no id", "thumb": "up"}).encode(),
        json.dumps({"call_id": "x" * 65, "thumb": "up"}).encode(),
        json.dumps({"call_id": "01234567-1-1", "thumb": "up", "comment": "x" * 2001}).encode(),
        json.dumps({"call_id": "01234567-1-1", "thumb": "up", "more": 1}).encode(),
    ],
    ids=range(13),
)
def test_what_is_no_outcome_is_refused_and_not_written(rated: Any, body: bytes) -> None:
    served, log = rated
    with served.client(headers={"content-type": "application/json"}) as client:
        answer = client.post("/v1/outcomes", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert not log.exists()


def test_an_outcome_that_is_too_long_or_without_the_key_is_refused(rated: Any) -> None:
    served, log = rated
    outcome = {"call_id": "01234567-1-1", "thumb": "up"}
    with served.client() as client:
        long = client.post("/v1/outcomes", json={**outcome, "comment": "x" * 20_000})
        strange = client.post("/v1/outcomes", json=outcome, headers={"authorization": "Bearer x"})
        plain = client.post("/v1/outcomes", content=b"{}", headers={"content-type": "text/plain"})
    assert [r.status_code for r in (long, strange, plain)] == [413, 401, 415]
    assert not log.exists()


def test_an_id_of_another_worker_is_taken_and_joins_nothing(rated: Any) -> None:
    served, log = rated
    with served.client() as client:
        answer = client.post("/outcomes/", json={"call_id": "01234567-1-1", "thumb": "up"})
    assert answer.status_code == 202
    assert [note.call_id for note in notes_of(log)] == ["01234567-1-1"]


def test_more_outcomes_than_a_second_may_have_get_429(
    upstream: OpenAIServer, tmp_path: Path
) -> None:
    log = tmp_path / "calls.jsonl"
    with (
        serving(upstream, record_log=str(log), max_outcomes_per_s=0.01) as served,
        served.client() as client,
    ):
        answers = [
            client.post("/v1/outcomes", json={"call_id": "01234567-1-1", "thumb": "up"})
            for _ in range(3)
        ]
    assert [answer.status_code for answer in answers] == [202, 429, 429]
    assert answers[1].headers["retry-after"] == "1"


def test_without_a_log_there_is_nothing_that_an_outcome_could_belong_to(
    upstream: OpenAIServer,
) -> None:
    with serving(upstream) as served, served.client() as client:
        answer = client.post("/v1/outcomes", json={"call_id": "01234567-1-1", "thumb": "up"})
        assert "x-routellm-call-id" not in served.post().headers
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_record_log")
