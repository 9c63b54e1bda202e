"""The whole road of a cascade over two language models that are trained and served here."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routellm_core.strategies import Cascade

pytestmark = pytest.mark.loopback

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pair() -> Any:
    """Return `benchmarks/small_pair.py`."""
    pytest.importorskip("torch")
    sys.path.insert(0, str(ROOT / "benchmarks"))
    spec = spec_from_file_location("small_pair", ROOT / "benchmarks" / "small_pair.py")
    module = module_from_spec(spec)
    sys.modules["small_pair"] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(ROOT / "benchmarks"))
    del sys.modules["small_pair"], sys.modules["small_models"]


def test_a_live_cascade_does_what_the_models_answers_foretell(pair: Any, tmp_path: Path) -> None:
    import torch

    torch.set_num_threads(1)
    sizes = {"weak": pair.Size(16, 1, 80, 0.0), "strong": pair.Size(24, 1, 200, 0.0)}
    models = {name: pair.learned(size, batch=64, seed=0) for name, size in sizes.items()}
    rng = np.random.default_rng(0)
    sums = list(dict.fromkeys(pair.drawn(rng, 1200, three_digits=0.0)))
    kept, fresh = sums[:-20], sums[-20:]
    road = pair.travelled(pair.table_of(models, kept), tmp_path)
    offline = {name: pair.written(models[name], fresh) for name in models}
    scores = np.array([np.exp(np.mean(said.logprobs)) for said in offline["weak"]])
    # Models of a few seconds earn no better level: half of the answers are rejected.
    accept = float(np.median(scores))
    road.strategies["cascade, logprob"] = Cascade("logprob", accept=accept)
    with pair.served(models) as address:
        found = {row["strategy"]: row for row in pair.live(road, address, fresh)}

    right = {
        name: np.array([said.text == str(a + b) for said, (a, b) in zip(each, fresh, strict=True)])
        for name, each in offline.items()
    }
    for name in ("weak", "strong"):
        assert found[f"all {name}"]["quality"] == pytest.approx(right[name].mean())
        assert found[f"all {name}"]["calls"] == 1.0

    rejected = scores < accept
    assert 0 < rejected.sum() < len(fresh)
    lived = found["cascade, logprob"]
    assert lived["strong"] == pytest.approx(rejected.mean())
    assert lived["calls"] == pytest.approx(1.0 + rejected.mean())
    given = np.where(rejected, right["strong"], right["weak"])
    assert lived["quality"] == pytest.approx(given.mean())
    usd = {
        name: [
            pair.PRICES[name].cost_usd(
                input_tokens=len(f"{a}+{b}="), output_tokens=len(said.characters)
            )
            for said, (a, b) in zip(each, fresh, strict=True)
        ]
        for name, each in offline.items()
    }
    paid = np.array(usd["weak"]) + np.where(rejected, usd["strong"], 0.0)
    assert lived["usd_per_million"] == pytest.approx(1e6 * paid.mean())
    assert (tmp_path / "verifier").is_dir()
    assert set(found) == {"all weak", "all strong", *road.strategies}
