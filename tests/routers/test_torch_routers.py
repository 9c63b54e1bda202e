"""bert and causal_llm on checkpoints of a few thousand weights."""

import json

import numpy as np
import pytest
from tiny_checkpoints import LABELS, SYSTEM, tiny_bert, tiny_llama

from routellm_core import (
    CheckpointError,
    CheckpointNotFoundError,
    ConfigurationError,
    load_router,
)
from routellm_core.routers._prompt_format import LLAMA_3, PromptFormat, fill_template

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

PROMPTS = ["hello", "what is the capital of france", "prove that there are infinitely many primes"]


def logits_of(router, prompt: str) -> np.ndarray:
    inputs = router.tokenizer(prompt, return_tensors="pt", truncation=True)
    with torch.no_grad():
        return router.model(**inputs).logits[0].double().numpy()


@pytest.mark.parametrize("num_labels", [2, 3])
def test_bert_gives_the_first_labels_probability(tmp_path, num_labels) -> None:
    router = load_router("bert", checkpoint=tiny_bert(tmp_path / "b", num_labels=num_labels))
    for prompt in PROMPTS:
        odds = np.exp(logits_of(router, prompt))
        assert router.win_rate(prompt) == pytest.approx(odds[0] / odds.sum(), abs=1e-6)


def test_bert_with_one_label_gives_its_logistic(tmp_path) -> None:
    router = load_router("bert", checkpoint=tiny_bert(tmp_path / "b", num_labels=1))
    expected = 1.0 / (1.0 + np.exp(-logits_of(router, PROMPTS[1])[0]))
    assert router.win_rate(PROMPTS[1]) == pytest.approx(expected, abs=1e-6)


def test_bert_reads_the_label_that_is_called_strong(tmp_path) -> None:
    folder = tiny_bert(tmp_path / "b", num_labels=2)
    first = load_router("bert", checkpoint=folder).win_rate("hello")
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), "id2label": {"0": "weak", "1": "strong"}}
    path.write_text(json.dumps(config))
    assert load_router("bert", checkpoint=folder).win_rate("hello") == pytest.approx(1.0 - first)


def test_bert_refuses_more_labels_than_it_knows_the_meaning_of(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="at most 3 labels"):
        load_router("bert", checkpoint=tiny_bert(tmp_path / "b", num_labels=4))


def test_bert_cuts_a_long_prompt_at_its_end(tmp_path) -> None:
    router = load_router("bert", checkpoint=tiny_bert(tmp_path / "b"))
    one, other = router.win_rates(["hello " * 80 + "python", "hello " * 80 + "poem"])
    assert one == pytest.approx(other, abs=1e-7)
    assert one != pytest.approx(router.win_rate("python"), abs=1e-4)


@pytest.mark.parametrize("make", [tiny_bert, tiny_llama])
def test_a_saved_router_refuses_changed_weights(tmp_path, make) -> None:
    name = "bert" if make is tiny_bert else "causal_llm"
    folder = load_router(name, checkpoint=make(tmp_path / "made")).save(tmp_path / "saved")
    path = folder / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match="changed or damaged"):
        load_router(name, checkpoint=folder)


def test_a_checkpoint_of_the_other_router_is_refused(tmp_path) -> None:
    folder = load_router("bert", checkpoint=tiny_bert(tmp_path / "b")).save(tmp_path / "saved")
    with pytest.raises(CheckpointError, match="not of 'causal_llm'"):
        load_router("causal_llm", checkpoint=folder)


def test_pickled_weights_are_not_read(tmp_path) -> None:
    folder = tiny_bert(tmp_path / "b")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="can run code"):
        load_router("bert", checkpoint=folder)


@pytest.mark.parametrize("name", ["bert", "causal_llm"])
def test_a_router_of_torch_without_a_checkpoint_says_what_to_pass(name) -> None:
    with pytest.raises(ConfigurationError, match=f"routellm train {name}"):
        load_router(name)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"dtype": "int8"}, {"threshold": 0.5}])
@pytest.mark.parametrize("make", [tiny_bert, tiny_llama])
def test_an_option_that_cannot_be_used_is_refused(tmp_path, make, options) -> None:
    name = "bert" if make is tiny_bert else "causal_llm"
    with pytest.raises(ConfigurationError):
        load_router(name, checkpoint=make(tmp_path / "made"), **options)


def test_causal_llm_sends_invalid_output_to_the_strong_model(tmp_path) -> None:
    folder = tiny_llama(tmp_path / "l", label_bias=0.0)
    router = load_router("causal_llm", checkpoint=folder, dtype="float32")
    assert router.win_rates(PROMPTS).tolist() == [1.0, 1.0, 1.0]


def test_causal_llm_sums_the_scores_below_the_threshold(tmp_path) -> None:
    router = load_router("causal_llm", checkpoint=tiny_llama(tmp_path / "l"), dtype="float32")
    text = router.prompt_format.text("sort list in python")
    with torch.no_grad():
        logits = router.model(torch.tensor([router.tokenizer.encode(text)])).logits[0, -1]
    assert int(logits.argmax()) >= len(router.tokenizer) - len(LABELS)
    odds = np.exp(logits[-len(LABELS) :].double().numpy())
    expected = odds[:3].sum() / odds.sum()
    assert router.win_rate("sort list in python") == pytest.approx(expected, abs=1e-6)


def test_causal_llm_keeps_its_instructions_around_a_long_prompt(tmp_path) -> None:
    router = load_router("causal_llm", checkpoint=tiny_llama(tmp_path / "l"))
    ids = router._encode("hello python " * 200)
    assert len(ids) <= 128
    text = router.tokenizer.decode(ids)
    assert "rate how" in text
    assert text.rstrip().endswith("<|eot_id|>")
    assert "score" in text


def test_causal_llm_needs_the_two_message_files(tmp_path) -> None:
    folder = tiny_llama(tmp_path / "l")
    (folder / "system_ft_v5.txt").unlink()
    with pytest.raises(CheckpointNotFoundError, match=r"system_ft_v5\.txt"):
        load_router("causal_llm", checkpoint=folder)


def test_causal_llm_refuses_a_model_without_logits_for_its_labels(tmp_path) -> None:
    folder = tiny_llama(tmp_path / "l")
    router = load_router("causal_llm", checkpoint=folder)
    with pytest.raises(CheckpointError, match="last tokens of the vocabulary"):
        type(router)(
            model=router.model,
            tokenizer=router.tokenizer,
            prompt_format=LLAMA_3,
            labels=["[[low]]", "[[high]]"],
            score_threshold=2,
        )


@pytest.mark.parametrize(("labels", "score_threshold"), [(LABELS[:1], 1), (LABELS, 1), (LABELS, 6)])
def test_causal_llm_refuses_labels_that_say_nothing(tmp_path, labels, score_threshold) -> None:
    router = load_router("causal_llm", checkpoint=tiny_llama(tmp_path / "l"))
    with pytest.raises(ConfigurationError, match="score_threshold"):
        type(router)(
            model=router.model,
            tokenizer=router.tokenizer,
            prompt_format=LLAMA_3,
            labels=labels,
            score_threshold=score_threshold,
        )


def test_the_prompt_format_is_routellms(tmp_path) -> None:
    prompt_format = PromptFormat(
        LLAMA_3.system_turn, LLAMA_3.user_turn, "", f" {SYSTEM}\n", "Q: {question} \n"
    )
    assert prompt_format.text(" why? ") == (
        f"<|start_header_id|>system<|end_header_id|>\n\n{SYSTEM}<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nQ:  why?<|eot_id|>"
    )


@pytest.mark.parametrize(
    "template", ["{question.__class__}", "{other}", "{question!r}", "{question:>9}", "{", "{0}"]
)
def test_a_template_cannot_look_anything_else_up(template) -> None:
    with pytest.raises(CheckpointError, match="template"):
        fill_template(template, "question", "x")


@pytest.mark.parametrize("fields", [None, {}, {"system": "x"}, dict.fromkeys(LLAMA_3.to_json(), 1)])
def test_a_prompt_format_with_other_fields_is_refused(fields) -> None:
    with pytest.raises(CheckpointError):
        PromptFormat.from_json(fields)
