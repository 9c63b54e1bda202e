"""Delivery: no sink can hurt a call, or another sink."""

import copy
import errno
import os
import pickle
import subprocess
import sys
import threading
import time

import pytest

from routellm_core import CallRecord, ConfigurationError, Decision, JsonlSink, Monitor, Sink
from routellm_core.monitoring import Ending, as_monitor

DECISION = Decision("weak", "small", 0.2, 0.5, "scripted", "win_rate")


def ending(number: int = 1) -> Ending:
    return Ending(
        number, 1.7e9, "answered", DECISION, DECISION, "big", "small", None, 0.001, 0.5, None, 1,
        (), None, False, None, "text",
    )  # fmt: skip


class Hanging(Sink):
    def __init__(self) -> None:
        self.free = threading.Event()

    def write(self, record: CallRecord) -> None:
        self.free.wait()


class Raising(Sink):
    def write(self, record: CallRecord) -> None:
        raise OSError("the prompt was: secret")


def test_records_arrive_in_order() -> None:
    records: list[CallRecord] = []
    monitor = Monitor(records.append)
    for number in range(500):
        monitor.note(lambda number=number: ending(number))
    assert monitor.flush()
    assert [record.call_id.rsplit("-")[-1] for record in records] == [
        f"{number:x}" for number in range(500)
    ]
    assert monitor.n_lost == 0


def test_a_sink_that_hangs_delays_no_call_and_no_other_sink() -> None:
    hanging, records = Hanging(), []
    monitor = Monitor(hanging, records.append, queue_size=10)
    start = time.monotonic()
    for number in range(100):
        monitor.note(lambda number=number: ending(number))
        if number % 10 == 9:
            assert monitor._deliveries[1].flush(timeout_s=5.0)
    assert time.monotonic() - start < 5.0
    assert len(records) == 100
    assert not monitor.flush(timeout_s=0.01)
    # One is in the sink's hands, if it got so far; 10 wait; the rest was dropped and counted.
    assert monitor.n_lost in (100 - 11, 100 - 10)
    hanging.free.set()


def test_a_sink_that_raises_loses_its_own_records_only(caplog) -> None:
    records: list[CallRecord] = []
    monitor = Monitor(Raising(), records.append)
    for _ in range(20):
        monitor.note(ending)
    assert monitor.flush()
    assert (len(records), monitor.n_lost) == (20, 20)
    assert "Raising failed with OSError" in caplog.text
    assert "secret" not in caplog.text
    assert len(caplog.records) == 2  # at the first and at the tenth


def test_a_durable_sink_that_raises_does_not_hurt_the_call(caplog) -> None:
    sink = Raising()
    sink.durable = True
    monitor = Monitor(sink)
    monitor.note(ending)
    assert monitor.n_lost == 1
    assert "secret" not in caplog.text


def test_a_full_disk_is_said_now_and_then_with_its_code_and_path(
    tmp_path, monkeypatch, caplog
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "log.jsonl"
    monitor = Monitor(path)
    monkeypatch.setattr(os, "write", full)
    for _ in range(20):
        monitor.note(ending)
    monkeypatch.undo()
    assert monitor.n_lost == 20
    said = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert said == [
        f"JsonlSink {str(path)!r} failed with OSError (ENOSPC); {n} records lost." for n in (1, 10)
    ]


def test_every_durable_sink_that_fails_is_named_with_its_own_count(tmp_path, caplog) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    logs = [JsonlSink(folder / "log.jsonl") for folder in folders]
    monitor = Monitor(*logs)
    for folder in folders:
        folder.rmdir()
    for _ in range(3):
        monitor.note(ending)
    assert monitor.n_lost == 6
    said = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert said == [
        f"JsonlSink {str(log.path)!r} failed with FileNotFoundError (ENOENT); 1 records lost."
        for log in logs
    ]


def test_an_ending_that_cannot_be_worked_out_hurts_nobody() -> None:
    records: list[CallRecord] = []
    monitor = Monitor(records.append)
    monitor.note(lambda: 1 / 0)
    monitor.note(ending)
    assert monitor.flush()
    assert (len(records), monitor.n_lost) == (1, 1)


def test_records_are_delivered_before_the_process_ends(tmp_path) -> None:
    code = f"""
from routellm_core import Decision, Monitor
from routellm_core.monitoring import Ending
d = Decision("weak", "small", 0.2, 0.5, "scripted", "win_rate")
monitor = Monitor({str(tmp_path / "log.jsonl")!r})
for n in range(100):
    monitor.note(lambda n=n: Ending(n, 1.7e9, "answered", d, d, "big", "small", None, 0.0, 0.5,
                                    None, 1, (), None, False, None, ""))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_forked_process_delivers_its_own_records(tmp_path) -> None:
    monitor = Monitor(tmp_path / "log.jsonl")
    monitor.note(lambda: ending(1))
    assert monitor.flush()
    child = os.fork()
    if child == 0:
        monitor.note(lambda: ending(2))
        os._exit(0 if monitor.flush() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2


def test_a_copy_in_another_process_has_the_settings_and_not_the_key(tmp_path) -> None:
    key = b"0123456789abcdef-the-key"
    monitor = Monitor(tmp_path / "log.jsonl", hash_key=key, keep_prompt_chars=3)
    frozen = pickle.dumps(monitor)
    assert key not in frozen
    twin = pickle.loads(frozen)
    twin.note(ending)
    assert twin.flush()
    assert '"prompt":"tex"' in (tmp_path / "log.jsonl").read_text()
    assert copy.deepcopy(monitor) is monitor
    assert "0123" not in repr(monitor)


def test_an_argument_becomes_a_monitor(tmp_path) -> None:
    assert as_monitor(None) is None
    monitor = Monitor()
    assert as_monitor(monitor) is monitor
    [sink] = as_monitor(str(tmp_path / "a.jsonl")).sinks
    assert isinstance(sink, JsonlSink)
    assert len(as_monitor([print, tmp_path / "b.jsonl"]).sinks) == 2
    with pytest.raises(ConfigurationError, match="got int"):
        as_monitor(5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("queue_size", 0), ("router_usd", float("nan")), ("keep_prompt_chars", -1), ("hash_key", b"")],
)
def test_a_wrong_setting_is_named(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"`{name}`"):
        Monitor(**{name: value})
