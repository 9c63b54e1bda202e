"""bert and causal_llm on an accelerator, and in batches.

No accelerator is needed: torch's fake tensors have a shape and a device and no numbers, and refuse
to be mixed with those of another device, as real ones do. What arrives at the CPU is made up. The
device is called "lazy" where there is no CUDA, because a build of torch without it knows no other;
the routers hand on whatever name they get.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import tiny_bert, tiny_llama

from routellm_core import load_router

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.overrides import TorchFunctionMode  # noqa: E402

DEVICE = "cuda:0" if torch.cuda.is_available() else "lazy:0"
CHECKPOINTS = {"bert": tiny_bert, "causal_llm": tiny_llama}
PROMPTS = ["hello", "what is the capital of france", "prove that there are infinitely many primes"]
NO_TOKEN_IS_THAT_HIGH = 10_000


class Arrivals(TorchFunctionMode):
    """Give NumPy one number for whatever fake tensor it asks for, if that is on the CPU."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.Tensor.numpy:
            return func(*args, **(kwargs or {}))
        if args[0].device.type != "cpu":
            raise TypeError(f"A tensor on {args[0].device} cannot become an array.")
        return np.full(args[0].shape, self.number)


def devices_of(tensors: Any) -> set[str]:
    return {str(tensor.device) for tensor in tensors if isinstance(tensor, torch.Tensor)}


@pytest.mark.parametrize(
    ("name", "arriving", "win_rate"),
    [
        ("bert", 7, 1 / 3),  # three equal logits
        ("causal_llm", NO_TOKEN_IS_THAT_HIGH, 3 / 5),  # a label at once; five equal logits
        ("causal_llm", 0, 1.0),  # no label: six tokens are tried
    ],
)
def test_model_and_inputs_are_on_the_device_and_win_rates_on_the_cpu(
    name, arriving, win_rate, tmp_path
) -> None:
    folder = CHECKPOINTS[name](tmp_path / name)
    seen: list[set[str]] = []

    def note(_: Any, args: Any, kwargs: Any) -> None:
        seen.append(devices_of([*args, *kwargs.values()]))

    with FakeTensorMode(allow_non_fake_inputs=True), Arrivals(arriving):
        router = load_router(name, checkpoint=folder, device=DEVICE, batch_size=2)
        router.model.register_forward_pre_hook(note, with_kwargs=True)
        win_rates = router.win_rates(PROMPTS)
    assert devices_of([*router.model.parameters(), *router.model.buffers()]) == {DEVICE}
    assert seen
    assert all(devices == {DEVICE} for devices in seen)
    assert type(win_rates) is np.ndarray
    np.testing.assert_allclose(win_rates, [win_rate] * 3)


def test_the_pretended_device_refuses_a_tensor_that_stayed_behind(tmp_path) -> None:
    folder = tiny_bert(tmp_path / "bert")
    with FakeTensorMode(allow_non_fake_inputs=True):
        router = load_router("bert", checkpoint=folder, device=DEVICE)
        with pytest.raises(RuntimeError, match="same device"):
            router.model(input_ids=torch.tensor([[2, 3]]))


@pytest.mark.parametrize(
    ("there", "stated", "chosen"),
    [(True, None, "cuda"), (False, None, "cpu"), (True, "cpu", "cpu"), (False, "cuda:1", "cuda:1")],
)
@pytest.mark.parametrize("name", sorted(CHECKPOINTS))
def test_the_device_is_cuda_where_there_is_one_unless_one_is_named(
    name, there, stated, chosen, tmp_path, monkeypatch
) -> None:
    folder, asked = CHECKPOINTS[name](tmp_path / name), []

    def to(model: Any, device: str) -> Any:
        asked.append(device)
        return model

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(transformers.PreTrainedModel, "to", to)
    load_router(name, checkpoint=folder, device=stated)
    assert asked == [chosen]


@pytest.mark.parametrize("batch_size", [3, 64])
@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("name", sorted(CHECKPOINTS))
def test_neither_batches_nor_the_tokenizers_padding_side_change_a_win_rate(
    name, padding_side, batch_size, tmp_path
) -> None:
    folder = CHECKPOINTS[name](tmp_path / name)
    prompts = [" ".join(PROMPTS[: 1 + i % 3]) for i in range(10)]
    one_by_one = load_router(name, checkpoint=folder, batch_size=1, dtype="float32")
    expected = [one_by_one.win_rate(prompt) for prompt in prompts]
    assert len(set(np.round(expected, 4))) == 3
    router = load_router(name, checkpoint=folder, batch_size=batch_size, dtype="float32")
    router.tokenizer.padding_side = padding_side
    np.testing.assert_allclose(router.win_rates(prompts), expected, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", sorted(CHECKPOINTS))
def test_a_cuda_device_gives_the_win_rates_of_the_cpu(name, tmp_path) -> None:
    folder = CHECKPOINTS[name](tmp_path / name)
    cpu, cuda = (
        load_router(name, checkpoint=folder, device=device, dtype="float32").win_rates(PROMPTS)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(cuda, cpu, atol=1e-4)
