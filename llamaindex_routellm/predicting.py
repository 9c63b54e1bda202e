"""Predict from prompts: the model that is chosen fills them in, with its own template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from llama_index.core.types import PydanticProgramMode

from llamaindex_routellm.opening import Opening
from llamaindex_routellm.pinning import apinned_stream, pinned, pinned_stream
from llamaindex_routellm.streaming import arelay, relay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from llama_index.core.program.utils import FlexibleModel
    from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
    from llama_index.core.types import TokenAsyncGen, TokenGen
    from pydantic import BaseModel

    from llamaindex_routellm.calls import Call

__all__ = ["Predicting"]

Model = TypeVar("Model", bound="BaseModel")


class Predicting(Opening):
    """Call the method of the same name on the model that is chosen.

    When the routing model has settings of its own that shape a prompt, LlamaIndex's own method
    runs instead, and every call that it makes goes to the model that is chosen.
    """

    @property
    def _shapes_prompts(self) -> bool:
        return bool(
            self.system_prompt
            or self.output_parser is not None
            or self.query_wrapper_prompt is not None
            or self.pydantic_program_mode != PydanticProgramMode.DEFAULT
        )

    def predict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        """Return the chosen model's words."""
        call = self._open_prompt(prompt, prompt_args)
        if self._shapes_prompts:
            with pinned(self, call.decision):
                return super().predict(prompt, **prompt_args)
        return call.run(lambda call: call.target.predict(prompt, **prompt_args))

    async def apredict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        """Return the chosen model's words."""
        call = await self._aopen_prompt(prompt, prompt_args)
        if self._shapes_prompts:
            with pinned(self, call.decision):
                return await super().apredict(prompt, **prompt_args)
        return await call.arun(lambda call: call.target.apredict(prompt, **prompt_args))

    def stream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenGen:
        """Return the chosen model's words in chunks; it is asked at once."""
        call = self._open_prompt(prompt, prompt_args)
        if self._shapes_prompts:
            with pinned(self, call.decision):
                tokens = super().stream(prompt, **prompt_args)
            return pinned_stream(self, call.decision, tokens)
        return relay(call, lambda call: call.target.stream(prompt, **prompt_args))

    async def astream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenAsyncGen:
        """Return the chosen model's words in chunks; it is asked at once."""
        call = await self._aopen_prompt(prompt, prompt_args)
        if self._shapes_prompts:
            with pinned(self, call.decision):
                tokens = await super().astream(prompt, **prompt_args)
            return apinned_stream(self, call.decision, tokens)
        return await arelay(call, lambda call: call.target.astream(prompt, **prompt_args))

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return the chosen model's object."""
        call = self._open_prompt(prompt, prompt_args, llm_kwargs, schema=output_cls)
        if self._shapes_prompts:
            with pinned(self, call.decision):
                whole: Model = super().structured_predict(
                    output_cls, prompt, llm_kwargs, **prompt_args
                )
                return whole
        made: Model = call.run(
            lambda call: call.target.structured_predict(
                output_cls=output_cls, prompt=prompt, **_settings(call, llm_kwargs), **prompt_args
            )
        )
        return made

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return the chosen model's object."""
        call = await self._aopen_prompt(prompt, prompt_args, llm_kwargs, schema=output_cls)
        if self._shapes_prompts:
            with pinned(self, call.decision):
                whole: Model = await super().astructured_predict(
                    output_cls, prompt, llm_kwargs, **prompt_args
                )
                return whole
        made: Model = await call.arun(
            lambda call: call.target.astructured_predict(
                output_cls=output_cls, prompt=prompt, **_settings(call, llm_kwargs), **prompt_args
            )
        )
        return made

    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | FlexibleModel, None, None]:
        """Return the chosen model's object as it grows."""
        call = self._open_prompt(prompt, prompt_args, llm_kwargs, schema=output_cls)
        if self._shapes_prompts:
            with pinned(self, call.decision):
                objects = super().stream_structured_predict(
                    output_cls, prompt, llm_kwargs, **prompt_args
                )
            return pinned_stream(self, call.decision, objects)
        return relay(
            call,
            lambda call: call.target.stream_structured_predict(
                output_cls=output_cls, prompt=prompt, **_settings(call, llm_kwargs), **prompt_args
            ),
        )

    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        """Return the chosen model's object as it grows."""
        call = await self._aopen_prompt(prompt, prompt_args, llm_kwargs, schema=output_cls)
        if self._shapes_prompts:
            with pinned(self, call.decision):
                objects = await super().astream_structured_predict(
                    output_cls, prompt, llm_kwargs, **prompt_args
                )
            return apinned_stream(self, call.decision, objects)
        return await arelay(
            call,
            lambda call: call.target.astream_structured_predict(
                output_cls=output_cls, prompt=prompt, **_settings(call, llm_kwargs), **prompt_args
            ),
        )


def _settings(call: Call, llm_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """Return `llm_kwargs` as an argument that is left out where the caller left it out."""
    return {} if llm_kwargs is None else {"llm_kwargs": call.kept(llm_kwargs)}
