"""The log: appended whole, rotated, and readable after a crash."""

import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from routellm_core import ConfigurationError, DataError, JsonlSink
from routellm_core.monitoring import LogReader, log_files


def test_what_is_written_is_read(tmp_path: Path, record) -> None:
    sink = JsonlSink(tmp_path / "log.jsonl")
    for number in range(10):
        sink.write(record(number))
    sink.close()
    assert list(LogReader(tmp_path / "log.jsonl")) == [record(number) for number in range(10)]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_the_log_is_its_owners_alone(tmp_path: Path, record) -> None:
    JsonlSink(tmp_path / "log.jsonl").write(record())
    assert stat.S_IMODE((tmp_path / "log.jsonl").stat().st_mode) == 0o600


def test_a_full_log_is_renamed_and_the_oldest_go(tmp_path: Path, record) -> None:
    size = len(record().to_json()) + 1
    sink = JsonlSink(tmp_path / "log.jsonl", max_bytes=3 * size, keep=2)
    for number in range(10):
        sink.write(record(number))
    files = log_files(tmp_path / "log.jsonl")
    assert len(files) == 3
    # 0-2 went; 3-5 and 6-8 are kept; 9 is in the current file.
    kept = [r.call_id for r in LogReader(tmp_path / "log.jsonl")]
    assert kept == [f"call-{number}" for number in range(3, 10)]


def test_two_sinks_share_a_log_through_rotations(tmp_path: Path, record) -> None:
    size = len(record().to_json()) + 1
    sinks = [JsonlSink(tmp_path / "log.jsonl", max_bytes=40 * size, keep=99) for _ in range(4)]

    def write(worker: int) -> None:
        for number in range(250):
            sinks[worker].write(record(worker * 1000 + number))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = LogReader(tmp_path / "log.jsonl")
    found = {r.call_id for r in reader}
    assert found == {f"call-{w * 1000 + n}" for w in range(4) for n in range(250)}
    assert reader.n_bad == 0


def test_a_torn_last_line_costs_no_other_record(tmp_path: Path, record) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(record(1).to_json() + "\n" + record(2).to_json()[:50])
    JsonlSink(path).write(record(3))
    reader = LogReader(path)
    assert [r.call_id for r in reader] == ["call-1", "call-3"]
    assert reader.n_bad == 1


WRITER = """
import sys
from routellm_core import Decision, JsonlSink, Monitor, make_decider, make_guards
from routellm_core.testing import ScriptedRouter
queued = {"durable": False} if sys.argv[2] == "queued" else {}
sink = JsonlSink(sys.argv[1], max_bytes=20_000, keep=10_000, **queued)
guards = make_guards(monitor=Monitor(sink, keep_prompt_chars=20))
decider = make_decider(router=ScriptedRouter(), strong_model="big", weak_model="small")
decision = Decision("weak", "small", 0.2, 0.5, "scripted", "win_rate")
number = 0
while True:
    call = guards.begin(decision, decider=decider, worth_escalating=bool, text=str(number))
    call.succeeded()
    if number == 0:
        guards.monitor.flush()  # prices are looked up once
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("how", ["as usual", "queued"])
@pytest.mark.parametrize("calls", [150, 400, 777])
def test_a_kill_tears_and_loses_no_record_before_the_last(
    tmp_path: Path, how: str, calls: int
) -> None:
    log = tmp_path / "log.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(log), how], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    done = -1
    for line in process.stdout:
        done = int(line)
        if done >= calls:
            process.send_signal(signal.SIGKILL)
            break
    for line in process.stdout:  # what it said before the signal reached it
        done = int(line) if line.endswith("\n") else done
    process.wait()
    process.stdout.close()
    reader = LogReader(log)
    numbers = [int(r.prompt) for r in reader]
    assert reader.n_bad <= 1
    assert numbers == list(range(len(numbers))), "a gap"
    if how == "as usual":
        # Every call that returned is there; the one in progress may be.
        assert len(numbers) >= done + 1


def test_a_pickled_sink_opens_its_file_again(tmp_path: Path, record) -> None:
    sink = JsonlSink(tmp_path / "log.jsonl")
    sink.write(record(1))
    twin = pickle.loads(pickle.dumps(sink))
    twin.write(record(2))
    assert len(list(LogReader(tmp_path / "log.jsonl"))) == 2


def test_a_log_that_somebody_deletes_is_begun_again(tmp_path: Path, record) -> None:
    sink = JsonlSink(tmp_path / "log.jsonl")
    sink.write(record(0))
    (tmp_path / "log.jsonl").unlink()
    for number in range(100):
        sink.write(record(number))
    assert (tmp_path / "log.jsonl").read_text().count("\n") >= 36


@pytest.mark.parametrize(("name", "value"), [("max_bytes", 0), ("keep", 0)])
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(ConfigurationError, match=f"`{name}`"):
        JsonlSink(tmp_path / "log.jsonl", **{name: value})


def test_a_folder_that_does_not_exist_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="folder does not exist"):
        JsonlSink(tmp_path / "no" / "log.jsonl")


def test_a_log_that_does_not_exist_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no log"):
        LogReader(tmp_path / "log.jsonl")


_FULL = """
import resource, sys
from routellm_core import JsonlSink

path, line = sys.argv[1:]
sink = JsonlSink(path)
sink.append(line)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (len(line) + 10, hard))
for _ in range(3):
    try:
        sink.append(line)
    except OSError:
        print("full")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
sink.append(line)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits on a file's size are POSIX's")
def test_half_a_line_of_a_full_disk_costs_no_other_record(tmp_path: Path, record) -> None:
    path = tmp_path / "log.jsonl"
    command = [sys.executable, "-c", _FULL, str(path), record().to_json()]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["full"] * 3
    reader = LogReader(path)
    assert list(reader) == [record(), record()]
    assert reader.n_bad == 1
