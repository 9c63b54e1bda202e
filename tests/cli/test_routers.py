import json

from routellm_core import router_names


def test_every_registered_router_is_listed_with_what_it_does(run) -> None:
    found = [json.loads(line) for line in run("routers", "--json").stdout.splitlines()]
    assert [row["router"] for row in found] == router_names()
    assert all(row["summary"].endswith(".") for row in found)


def test_a_router_that_fits_any_pair_is_ready_and_calibrated(run) -> None:
    rows = [json.loads(line) for line in run("routers", "--json").stdout.splitlines()]
    [random] = [row for row in rows if row["router"] == "random"]
    assert (random["installed"], random["ready"], random["calibrated"]) == (True, True, True)
    assert (random["strong_model"], random["weak_model"]) == (None, None)


def test_the_table_fits_80_columns(run) -> None:
    result = run("routers")
    assert "random" in result.stdout
    assert "calibrated" in result.stdout
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 80
