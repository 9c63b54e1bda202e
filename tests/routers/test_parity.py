"""RouteLLM 0.2.0's numbers, which `reference/make.py` computed, come out again."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoints import TableEmbedder

from routellm_core import load_router

REFERENCE = Path(__file__).parent / "reference"


def numbers(router: str) -> dict:
    return json.loads((REFERENCE / f"{router}.json").read_text())


@pytest.mark.parametrize("case", ["small", "few_tiers"])
def test_sw_ranking_equals_routellm_from_an_arena_table(case, tmp_path) -> None:
    known = numbers("sw_ranking")[case]
    battles, embeddings = tmp_path / "battles.jsonl", tmp_path / "embeddings.npy"
    battles.write_text("\n".join(json.dumps(row) for row in known["battles"]))
    np.save(embeddings, np.array(known["embeddings"]))
    for result in known["results"]:
        router = load_router(
            "sw_ranking",
            battles=battles,
            embeddings=embeddings,
            embedder=TableEmbedder(known["queries"]),
            strong_model=result["strong"],
            weak_model=result["weak"],
            n_tiers=known["n_tiers"],
        )
        assert router.tiers == known["tiers"]
        queries = list(known["queries"])
        np.testing.assert_allclose(router.win_rates(queries), result["win_rates"], atol=2e-6)
        alone = [router.win_rate(query) for query in queries]
        np.testing.assert_allclose(alone, result["win_rates"], atol=2e-6)
