"""The demonstration through LlamaIndex: a RoutedLLM and its chat endpoint."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from llama_index.core.llms import ChatMessage, CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback

from llamaindex_routellm import RoutedLLM
from routellm_core._optional import require
from routellm_core.cli.demo_models import Answer, stand_in_text
from routellm_core.types import RECORD_KEY

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from llama_index.core.base.llms.types import ChatResponse, CompletionResponseGen

    from routellm_core.cli.demo_models import Ask, Tier
    from routellm_core.routers import Router

__all__ = ["StandInLLM", "open_routed"]

_AT_ONCE = 8


class StandInLLM(CustomLLM):
    """Answer everything with one text that says which model this stands in for."""

    model: str

    @property
    def metadata(self) -> LLMMetadata:
        """Name the model that this stands in for."""
        return LLMMetadata(model_name=self.model)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: ARG002
        """Return the text."""
        return CompletionResponse(text=stand_in_text(self.model))

    @llm_completion_callback()
    def stream_complete(
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Any,
    ) -> CompletionResponseGen:
        """Yield the text at once."""

        def chunks() -> CompletionResponseGen:
            whole = self.complete(prompt, formatted=formatted, **kwargs)
            yield CompletionResponse(text=whole.text, delta=whole.text)

        return chunks()


def open_routed(strong: Tier, weak: Tier, *, router: Router, threshold: float) -> Ask:
    """Return a function that sends prompts through a routed LLM."""
    llm = RoutedLLM(strong=_llm(strong), weak=_llm(weak), router=router, threshold=threshold)

    def ask_one(prompt: str) -> Answer:
        messages = [
            ChatMessage(role="system", content="Answer in the language of the question."),
            ChatMessage(role="user", content=prompt),
        ]
        return _read(llm.chat(messages))

    def ask(prompts: Sequence[str]) -> Generator[Answer, None, None]:
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            for start in range(0, len(prompts), _AT_ONCE):
                part = prompts[start : start + _AT_ONCE]
                for future in [pool.submit(ask_one, prompt) for prompt in part]:
                    error = future.exception()
                    yield Answer(None, cause=error) if error else future.result()

    return ask


def _read(response: ChatResponse) -> Answer:
    # LlamaIndex has no common place for usage; providers put theirs into the raw response.
    usage = getattr(response.raw, "usage", None)
    return Answer(
        record=response.additional_kwargs[RECORD_KEY],
        text=str(response.message.content or ""),
        input_tokens=getattr(usage, "prompt_tokens", None),
        output_tokens=getattr(usage, "completion_tokens", None),
    )


def _llm(tier: Tier) -> Any:
    if tier.stand_in:
        return StandInLLM(model=tier.name)
    if tier.url is None:
        return tier.at_effort(tier.name)
    litellm = require("llama_index.llms.litellm", extra="llamaindex")
    # LlamaIndex's own default of 0.1 is refused by models that think.
    settings = {} if tier.effort is None else {"temperature": 1.0}
    return tier.at_effort(
        litellm.LiteLLM(model=tier.litellm_name, api_base=tier.url, api_key=tier.key, **settings)
    )
