"""`bert_score` against the package of that name, and `text_nll` against transformers' own loss."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import tiny_encoder, tiny_llama

from routellm_core import CheckpointError, ConfigurationError
from routellm_core.answers import (
    BERTScores,
    LanguageModel,
    TextNLL,
    TokenEncoder,
    bert_score,
    consistency,
    text_nll,
)

KNOWN = json.loads((Path(__file__).parent / "reference" / "bert_score.json").read_text())
CANDIDATES, REFERENCES = (list(side) for side in zip(*KNOWN["pairs"], strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("made") / "encoder")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> TokenEncoder:
    return TokenEncoder(folder, layer=3, device="cpu")


def rows(scores: BERTScores) -> list[list[float]]:
    return [scores.precision.tolist(), scores.recall.tolist(), scores.f1.tolist()]


@pytest.mark.parametrize("case", KNOWN["results"], ids=lambda c: f"{c['layer']}-{c['idf']}")
def test_scores_equal_those_of_the_package(case: dict[str, Any], folder: Path) -> None:
    encoder = TokenEncoder(folder, layer=case["layer"], device="cpu")
    for name, baseline in (("raw", None), ("rescaled", tuple(KNOWN["baseline"]))):
        scores = bert_score(
            CANDIDATES, REFERENCES, encoder=encoder, idf=case["idf"], baseline=baseline
        )
        np.testing.assert_allclose(rows(scores), case[name], atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_a_score_is_the_same_alone_and_in_any_batch(
    batch_size: int, folder: Path, encoder: TokenEncoder
) -> None:
    together = bert_score(
        CANDIDATES,
        REFERENCES,
        encoder=TokenEncoder(folder, layer=3, device="cpu", batch_size=batch_size),
    )
    alone = [bert_score([c], [r], encoder=encoder) for c, r in KNOWN["pairs"]]
    np.testing.assert_allclose(together.f1, [each.f1[0] for each in alone], atol=2e-6)


def test_padding_takes_no_part_in_the_matching(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    words = model.embeddings.word_embeddings.weight.data
    opposite = tokenizer.convert_tokens_to_ids("prove")
    words[:] = words[5].clone()
    words[opposite] *= -1.0
    for part in (model.embeddings.position_embeddings, model.embeddings.token_type_embeddings):
        part.weight.data.zero_()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    encoder = TokenEncoder(tmp_path, layer=0, device="cpu")
    # In the longer batch a padded place with a cosine of 0 would be nearer than any token.
    long = "what is the capital of france " * 4
    scores = bert_score(["prove", long], ["hello", long], encoder=encoder)
    np.testing.assert_allclose(scores.precision, [-1.0, 1.0], atol=1e-6)


def test_a_text_without_tokens_scores_0(encoder: TokenEncoder) -> None:
    scores = bert_score(["", "hello", " "], ["hello", "", " "], encoder=encoder)
    assert rows(scores) == [[0.0] * 3] * 3
    rescaled = bert_score([""], ["hello"], encoder=encoder, baseline=(0.5, 0.5, 0.5))
    assert rescaled.f1.tolist() == [-1.0]
    assert rows(bert_score([], [], encoder=encoder)) == [[], [], []]


def test_tokens_that_are_in_every_text_weigh_nothing_and_unseen_ones_most(
    encoder: TokenEncoder,
) -> None:
    texts = ["the poem", "the list"]
    weighed = bert_score(["the poem"], ["the list"], encoder=encoder, idf=texts)
    plain = bert_score(["the poem"], ["the list"], encoder=encoder)
    assert weighed.f1[0] != plain.f1[0]
    # Of one text all tokens are in every text.
    assert bert_score(["poem"], ["poem"], encoder=encoder, idf=["poem"]).f1.tolist() == [0.0]
    unseen = bert_score(["poem"], ["list"], encoder=encoder, idf=["hello", "sum"])
    np.testing.assert_allclose(
        unseen.f1, bert_score(["poem"], ["list"], encoder=encoder).f1, atol=1e-6
    )


def test_the_published_baseline_is_that_of_model_and_layer(tmp_path: Path, folder: Path) -> None:
    tiny_encoder(tmp_path / "bert-base-uncased")
    known = TokenEncoder("FacebookAI/roberta-large")
    assert (known.layer, known.baseline[2]) == (17, 0.83122575)
    with pytest.raises(ConfigurationError, match="No baseline is known for layer 3"):
        bert_score(["a"], ["a"], encoder=TokenEncoder(folder, layer=3), baseline="published")
    with pytest.raises(ConfigurationError, match="for layer 1"):
        _ = TokenEncoder(tmp_path / "bert-base-uncased", layer=1).baseline


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "`layer` must be given for 'own/model'"),
        ({"layer": -1}, "whole number from 0 on, got -1"),
        ({"layer": 1.5}, "whole number from 0 on, got 1.5"),
        ({"layer": 1, "batch_size": 0}, "`batch_size` must be"),
    ],
)
def test_an_encoder_that_cannot_be_used_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        TokenEncoder("own/model", **options)


def test_wrong_arguments_of_a_score_are_refused(folder: Path, encoder: TokenEncoder) -> None:
    with pytest.raises(ConfigurationError, match="of one length, got 1 and 0"):
        bert_score(["a"], [], encoder=encoder)
    with pytest.raises(ConfigurationError, match="`layer` must be at most 3"):
        bert_score(["a"], ["a"], encoder=TokenEncoder(folder, layer=4, device="cpu"))
    for bad in ((0.5,), (0.5, 0.5, 1.0), "publised"):
        with pytest.raises(ConfigurationError, match="`baseline` must be 'published', or three"):
            bert_score(["a"], ["a"], encoder=encoder, baseline=bad)
    with pytest.raises(CheckpointError, match="does not exist"):
        bert_score(["a"], ["a"], encoder="roberta-large")


def test_answers_may_agree_by_their_f1(encoder: TokenEncoder) -> None:
    def f1(candidates: Any, references: Any) -> Any:
        return bert_score(candidates, references, encoder=encoder).f1

    samples = ["prove the capital of france", "sum two numbers"]
    verifier = consistency(
        2, by="similarity", similarity=f1, ask=lambda request: samples[request.sample]
    )
    expected = f1(["sum two numbers"] * 2, samples).mean()
    assert verifier.score("p", "sum two numbers").value == pytest.approx(expected)


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("made") / "llama", with_labels=False)


PROMPTS = ["what is the capital of france", "sum", "prove that", "rate the poem from one to five"]
TEXTS = ["the capital of france is a question", "two", "there are infinitely many primes", "five"]


def loss_of(folder: Path, prompt: str, text: str) -> tuple[float, int]:
    """Return the mean loss of the text's tokens as transformers computes it, one text alone."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    before = tokenizer(prompt)["input_ids"]
    own = tokenizer(text, add_special_tokens=False)["input_ids"]
    labels = [-100] * len(before) + own
    with torch.inference_mode():
        loss = model(torch.tensor([before + own]), labels=torch.tensor([labels])).loss
    return float(loss), len(own)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("with_prompts", [True, False])
def test_the_nll_is_the_loss_of_transformers(
    batch_size: int, with_prompts: bool, causal: Path
) -> None:
    model = LanguageModel(causal, device="cpu", batch_size=batch_size)
    prompts = PROMPTS if with_prompts else None
    found = text_nll(TEXTS, model=model, prompts=prompts)
    losses, counts = zip(
        *(loss_of(causal, p, t) for p, t in zip(prompts or [""] * 4, TEXTS, strict=True)),
        strict=True,
    )
    np.testing.assert_allclose(found.per_token, losses, atol=1e-5)
    assert found.n_tokens.tolist() == list(counts)
    np.testing.assert_allclose(found.nats, np.multiply(losses, counts), atol=1e-4)


def test_perplexity_and_bits_per_byte_follow_from_the_sums() -> None:
    found = TextNLL(np.array([2.0, 0.0]), np.array([4, 0]), np.array([8, 0]))
    np.testing.assert_allclose(found.per_token, [0.5, np.nan])
    np.testing.assert_allclose(found.perplexity, [np.exp(0.5), np.nan])
    np.testing.assert_allclose(found.bits_per_byte, [0.25 / np.log(2.0), np.nan])


def test_an_empty_text_has_no_tokens(causal: Path) -> None:
    found = text_nll(["", "five"], model=LanguageModel(causal, device="cpu"), prompts=["one", ""])
    assert found.n_tokens.tolist() == [0, 1]
    assert found.n_bytes.tolist() == [0, 4]
    assert text_nll([], model=LanguageModel(causal)).nats.shape == (0,)


def test_a_model_that_marks_no_beginning_reads_the_mark_of_the_end(
    causal: Path, tmp_path: Path
) -> None:
    from tokenizers import processors
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(causal)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    AutoModelForCausalLM.from_pretrained(causal).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = LanguageModel(tmp_path, device="cpu")
    plain, marked = text_nll(["five", "five"], model=model, prompts=["", tokenizer.eos_token]).nats
    assert plain == pytest.approx(marked, abs=1e-5)


def test_without_a_mark_of_the_beginning_the_first_token_is_not_scored(
    causal: Path, tmp_path: Path
) -> None:
    import torch
    from tokenizers import processors
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(causal)
    model = AutoModelForCausalLM.from_pretrained(causal, dtype=torch.float32)
    tokenizer.eos_token = None
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found = text_nll(["one", TEXTS[0]], model=LanguageModel(tmp_path, device="cpu"))
    ids = torch.tensor([tokenizer(TEXTS[0], add_special_tokens=False)["input_ids"]])
    with torch.inference_mode():
        loss = float(model(ids, labels=ids).loss)
    assert found.n_tokens.tolist() == [0, ids.shape[1] - 1]
    assert found.per_token[1] == pytest.approx(loss, abs=1e-5)


def test_a_prompt_is_cut_at_its_beginning_and_a_text_is_not(causal: Path) -> None:
    model = LanguageModel(causal, device="cpu")
    long = text_nll(["five"], model=model, prompts=["one " * 300 + "rate the poem"])
    assert long.n_tokens.tolist() == [1]
    # A name of `str` is loaded as well.
    other = text_nll(["five"], model=str(causal), prompts=["one " * 400 + "rate the poem"])
    np.testing.assert_allclose(long.nats, other.nats)
    with pytest.raises(ConfigurationError, match="Text 0 has 200 tokens, and the model reads 128"):
        text_nll(["five " * 200], model=model)
    with pytest.raises(ConfigurationError, match="as many as the 1 texts, got 2"):
        text_nll(["five"], model=model, prompts=["a", "b"])


def test_importing_the_metrics_loads_no_torch() -> None:
    code = (
        "import sys, routellm_core.answers; assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
