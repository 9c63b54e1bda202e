"""RouteLLM 0.2.0's numbers, which `reference/make.py` computed, come out again."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoints import TableEmbedder, published_mf, tiny_bert, tiny_llama

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


@pytest.mark.parametrize("case", [0, 1])
def test_mf_equals_routellm_from_a_published_checkpoint(case, tmp_path) -> None:
    known = numbers("mf")["projected"]
    result = known["results"][case]
    router = load_router(
        "mf",
        checkpoint=published_mf(tmp_path / "mf"),
        embedder=TableEmbedder(known["queries"]),
        **{key: value for key, value in result.items() if key != "win_rates"},
    )
    queries = list(known["queries"])
    np.testing.assert_allclose(router.win_rates(queries), result["win_rates"], atol=1e-6)


def test_bert_equals_routellm_on_three_labels(tmp_path) -> None:
    pytest.importorskip("transformers")
    known = numbers("bert")["3"]
    router = load_router("bert", checkpoint=tiny_bert(tmp_path / "bert"))
    prompts, expected = list(known), list(known.values())
    np.testing.assert_allclose(router.win_rates(prompts), expected, atol=1e-6)
    alone = [router.win_rate(prompt) for prompt in prompts]
    np.testing.assert_allclose(alone, expected, atol=1e-6)


BF16_LOGIT_ERROR = 0.5
"""How far rounding to 8 bits may move a logit of `tiny_llama`: 0.45 measured, rounded up."""

# Prompts whose likeliest first token leads by more than two logits can move towards each other, in
# float32: no kernel's rounding makes another choice.
CLEAR_IN_BF16 = {
    "prove that there are infinitely many primes": 1.403,
    "what is the capital of france": 3.609,
    "write a poem about quantum entanglement and then translate that poem to german": 2.102,
    "a": 4.545,
}


def logit(win_rates: list[float]) -> np.ndarray:
    return np.log(win_rates) - np.log1p(-np.array(win_rates))


@pytest.mark.parametrize("label_bias", [3.0, 1.2])
@pytest.mark.parametrize("with_labels", [True, False])
def test_causal_llm_equals_routellm_in_float32(tmp_path, label_bias, with_labels) -> None:
    pytest.importorskip("transformers")
    known = numbers("causal_llm")[f"{label_bias}-float32"]
    folder = tiny_llama(tmp_path / "llama", label_bias=label_bias, with_labels=with_labels)
    router = load_router("causal_llm", checkpoint=folder, dtype="float32")
    # The longest prompt does not fit the model: RouteLLM runs over its context, we cut the prompt.
    prompts = [prompt for prompt in known if len(prompt) < 200]
    alone = [router.win_rate(prompt) for prompt in prompts]
    # Some 100 roundings in a row, each of 1.2e-7, of logits near 10.
    np.testing.assert_allclose(alone, [known[prompt] for prompt in prompts], rtol=0, atol=1e-4)


@pytest.mark.parametrize("with_labels", [True, False])
def test_causal_llm_equals_routellm_in_bfloat16_where_no_rounding_decides(
    tmp_path, with_labels
) -> None:
    torch = pytest.importorskip("torch")
    known = numbers("causal_llm")["3.0-bfloat16"]
    folder = tiny_llama(tmp_path / "llama", label_bias=3.0, with_labels=with_labels)
    router = load_router("causal_llm", checkpoint=folder)
    exact = load_router("causal_llm", checkpoint=folder, dtype="float32")
    for prompt, lead in CLEAR_IN_BF16.items():
        with torch.inference_mode():
            ids = torch.tensor([exact._encode(prompt)])
            best, second = exact.model(input_ids=ids).logits[0, -1].topk(2).values.tolist()
        assert best - second == pytest.approx(lead, abs=0.01)
        assert lead > 2 * BF16_LOGIT_ERROR
    alone = [router.win_rate(prompt) for prompt in CLEAR_IN_BF16]
    expected = [known[prompt] for prompt in CLEAR_IN_BF16]
    np.testing.assert_allclose(logit(alone), logit(expected), rtol=0, atol=2 * BF16_LOGIT_ERROR)
