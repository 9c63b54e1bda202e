"""The demonstration's LCEL chain: prompt | RoutedChatModel | parser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate

from langchain_routellm import RoutedChatModel
from routellm_core.cli.demo_models import Answer, stand_in_text
from routellm_core.types import RECORD_KEY

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable

    from routellm_core.cli.demo_models import Ask, Tier
    from routellm_core.routers import Router

__all__ = ["StandInChatModel", "open_routed"]

_AT_ONCE = 8


class StandInChatModel(BaseChatModel):
    """Answer everything with one text that says which model this stands in for."""

    model_name: str

    @property
    def _llm_type(self) -> str:
        return "stand-in"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def _generate(
        self,
        messages: list[BaseMessage],  # noqa: ARG002 - a stand-in does not listen
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: Any = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> ChatResult:
        message = AIMessage(stand_in_text(self.model_name))
        return ChatResult(generations=[ChatGeneration(message=message)])


def open_routed(strong: Tier, weak: Tier, *, router: Router, threshold: float) -> Ask:
    """Return a function that sends prompts through a routed chain."""
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer in the language of the question."), ("human", "{question}")]
    )
    model = RoutedChatModel(
        strong=_chat_model(strong), weak=_chat_model(weak), router=router, threshold=threshold
    )
    chain: Runnable[dict[str, Any], Answer] = prompt | model | _parse

    def ask(prompts: Sequence[str]) -> Generator[Answer, None, None]:
        for start in range(0, len(prompts), _AT_ONCE):
            questions = [{"question": text} for text in prompts[start : start + _AT_ONCE]]
            answers: list[Any] = chain.batch(questions, return_exceptions=True)
            for answer in answers:
                failed = isinstance(answer, BaseException)
                yield Answer(None, cause=answer) if failed else answer

    return ask


def _parse(message: AIMessage) -> Answer:
    usage = message.usage_metadata
    return Answer(
        record=message.response_metadata[RECORD_KEY],
        text=str(message.text),
        input_tokens=usage["input_tokens"] if usage else None,
        output_tokens=usage["output_tokens"] if usage else None,
    )


def _chat_model(tier: Tier) -> Any:
    if tier.stand_in:
        return StandInChatModel(model_name=tier.name)
    if tier.url is None:
        return tier.at_effort(tier.name)
    from langchain_litellm import ChatLiteLLM

    return tier.at_effort(ChatLiteLLM(model=tier.litellm_name, api_base=tier.url, api_key=tier.key))
