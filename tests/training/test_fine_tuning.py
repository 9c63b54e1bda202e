"""bert and causal_llm learn a planted rule, and go on after an interruption."""

from __future__ import annotations

import numpy as np
import pytest
from planted import PAIR, outcome_rows, planted, score
from tiny_checkpoints import tiny_bert, tiny_llama

from routellm_core import ConfigurationError, load_router
from routellm_core.data import read_outcomes
from routellm_core.routers._prompt_format import PromptFormat
from routellm_core.training import train_bert, train_causal_llm

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

# peft asks transformers 5 by a name that it calls old.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

SHORT = PromptFormat("{instruction}", "{instruction}", "", "", "{question} answer")
BERT = {"learning_rate": 2e-3, "epochs": 8, "batch_size": 32, "device": "cpu"}
LLAMA = {"learning_rate": 5e-3, "epochs": 6, "batch_size": 32, "lora_rank": 8, "device": "cpu"}


def data(n: int, *, seed: int = 1, shuffled: bool = False):
    prompts, hard = planted(n, seed=seed)
    if shuffled:
        hard = np.random.default_rng(seed).permutation(hard)
    return read_outcomes(outcome_rows(prompts, hard))


@pytest.mark.parametrize("labels", ["soft", "three"])
def test_bert_recovers_a_planted_rule_and_saves_it(labels, tmp_path) -> None:
    base = tiny_bert(tmp_path / "base", num_labels=1)
    result = train_bert(data(900), pair=PAIR, base=base, labels=labels, **BERT)
    assert score(result.router, n=600) >= 0.9
    loaded = load_router("bert", checkpoint=result.save(tmp_path / "saved"))
    prompts = planted(20, seed=3)[0]
    np.testing.assert_allclose(
        loaded.win_rates(prompts), result.router.win_rates(prompts), atol=1e-6
    )
    assert loaded.pair == PAIR
    assert loaded.calibration.n_prompts == result.metrics["n_validation"]


def test_bert_finds_nothing_in_shuffled_labels(tmp_path) -> None:
    base = tiny_bert(tmp_path / "base")
    router = train_bert(
        data(600, shuffled=True), pair=PAIR, base=base, **{**BERT, "epochs": 2}
    ).router
    assert score(router, seed=51, shuffled=True) == pytest.approx(0.5, abs=0.05)


def test_bert_goes_on_from_an_interrupted_fit(tmp_path) -> None:
    base, work = tiny_bert(tmp_path / "base"), tmp_path / "work"
    first = train_bert(data(100), pair=PAIR, base=base, work=work, **{**BERT, "epochs": 1})
    assert not first.metrics["resumed"]
    second = train_bert(data(100), pair=PAIR, base=base, work=work, **{**BERT, "epochs": 2})
    assert second.metrics["resumed"]
    assert second.metrics["epochs"] == 2.0


def test_causal_llm_recovers_a_planted_rule_and_saves_it(tmp_path) -> None:
    base = tiny_llama(tmp_path / "base", with_labels=False)
    result = train_causal_llm(data(900), pair=PAIR, base=base, prompt_format=SHORT, **LLAMA)
    assert score(result.router, n=400) >= 0.9
    loaded = load_router("causal_llm", checkpoint=result.save(tmp_path / "saved"))
    prompts = planted(20, seed=3)[0]
    np.testing.assert_allclose(
        loaded.win_rates(prompts), result.router.win_rates(prompts), atol=1e-6
    )
    assert loaded.labels == ("[[1]]", "[[2]]")
    assert loaded.pair == PAIR


def test_causal_llm_finds_nothing_in_shuffled_labels(tmp_path) -> None:
    base = tiny_llama(tmp_path / "base", with_labels=False)
    router = train_causal_llm(
        data(400, shuffled=True),
        pair=PAIR,
        base=base,
        prompt_format=SHORT,
        **{**LLAMA, "epochs": 1},
    ).router
    assert score(router, seed=52, shuffled=True) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"epochs": 0}, {"batch_size": 0}])
@pytest.mark.parametrize("train", [train_bert, train_causal_llm])
def test_a_setting_that_cannot_be_used_is_refused_first(train, wrong, tmp_path) -> None:
    with pytest.raises(ConfigurationError):
        train(data(50), pair=PAIR, base=tmp_path / "nothing", **wrong)


def test_labels_of_an_unknown_kind_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="`labels` must be one of"):
        train_bert(data(50), pair=PAIR, base=tmp_path, labels="four")
