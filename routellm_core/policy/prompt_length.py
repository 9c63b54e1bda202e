"""How providers and servers say that a prompt is too long: one table of codes and wordings."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["is_prompt_too_long"]

_STATUSES = frozenset({400, 413, 422, 429, 500})
"""Where a prompt too long is told. 401, 403 and 404 never tell it, whatever their words are."""

_CODES = frozenset(
    {
        "context_length_exceeded",
        "exceed_context_size_error",
        "model_max_prompt_tokens_exceeded",
        "request_too_large",
        "tokens_limit_reached",
    }
)

# Each wording is in lower case, and all of its parts must occur. Parts are plain substrings, so
# that looking for them takes time in proportion to the message, whoever wrote it.
_WORDINGS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "any server, within the text of an error": (
        ("context_length_exceeded",),
        ("exceed_context_size_error",),
        ("tokens_limit_reached",),
        ("contextwindowexceedederror",),
    ),
    "OpenAI, vLLM, SGLang, Mistral, OpenRouter, DeepSeek, Fireworks": (
        ("maximum context length",),
        ("exceeds the context window",),
        ("input tokens exceed the configured limit",),
        ("string too long", "messages["),
        ("string too long", "'input"),
    ),
    "OpenAI, Groq": (
        ("please reduce the length of the messages",),
        # The prompt alone is above the tokens per minute: waiting does not help, unlike with
        # "Rate limit reached for model", but another model has another limit.
        ("request too large for",),
    ),
    "Anthropic": (
        ("prompt is too long",),
        ("exceed context limit",),
        ("request exceeds the maximum size",),
    ),
    "Amazon Bedrock": (
        ("input is too long for requested model",),
        ("too many input tokens",),
        ("number of input tokens exceeds maximum length",),
    ),
    "Cerebras": (("current length is", "while limit is"),),
    "Cloudflare Workers AI": (("exceeded this model context window limit",),),
    "Cohere": (("too many tokens", "prompt"),),
    "DashScope": (("range of input length should be",),),
    "DeepInfra": (("requested input length", "exceeds maximum input length"),),
    "Doubao": (("tokens of image and text exceed max message tokens",),),
    "Gemini": (
        ("exceeds the maximum number of tokens allowed",),
        ("input token count", "only supports up to"),
    ),
    "GitHub Models": (
        ("prompt token count", "exceeds the limit of"),
        ("request body too large for", "max size", "tokens"),
    ),
    "Hugging Face TGI, Together": (
        ("`inputs` tokens + `max_new_tokens` must be",),
        ("`inputs` must have less than", "tokens"),
    ),
    "llama.cpp and its Python binding": (
        ("exceeds the available context size",),
        ("exceed context window of",),
        ("context size has been exceeded",),
    ),
    "LM Studio": (
        ("greater than the context length",),
        ("model is loaded with context length",),
    ),
    "MLC LLM": (("request prompt has", "tokens in total, larger than the model"),),
    "MiniMax, Moonshot, Zhipu": (
        ("context window exceeds limit",),
        ("exceeded model token limit",),
        ("prompt exceeds max length",),
    ),
    "Ollama": (
        ("prompt too long; exceeded",),
        ("input length exceeds", "context length"),
        ("longer than the context length",),
    ),
    "SGLang": (
        ("longer than the model's context length",),
        ("input length", "tokens) exceeds the maximum allowed length"),
    ),
    "SiliconFlow": (
        ("length of prompt_tokens", "must be less than max_seq_len"),
        ("max_total_tokens", "must be less than or equal to max_seq_len"),
    ),
    "vLLM": (
        ("longer than the maximum model length",),
        ("too long to fit into the model",),
        ("context length is only",),
    ),
    "watsonx": (("number of input tokens", "cannot exceed the total tokens limit"),),
    "xAI": (("maximum prompt length is",),),
}

_RATE_LIMITED = ("request too large for",)
"""The one wording that counts with status 429, which else means a request too many."""

_READ_CHARS = 20_000
"""A validation error may repeat the whole prompt; what the server says comes before."""


def is_prompt_too_long(*, status: int | None, code: object, message: str) -> bool:
    """Return whether an error says that the prompt does not fit this model.

    A request whose prompt and `max_tokens` together exceed the model's window counts: a larger
    model may take it. One whose `max_tokens` alone exceeds what a model may write does not.

    Parameters
    ----------
    status
        The HTTP status; None when it is not known.
    code
        The error's code or type, in the server's words.
    message
        The server's message, or the whole text of the error.

    Examples
    --------
    >>> is_prompt_too_long(
    ...     status=400, code=None, message="prompt is too long: 210000 tokens > 200000 maximum"
    ... )
    True
    >>> is_prompt_too_long(status=400, code=None, message="max_tokens is too large: 100000")
    False
    """
    if status is not None and status not in _STATUSES:
        return False
    text = message[:_READ_CHARS].lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if status == 429:
        return all(part in text for part in _RATE_LIMITED)
    if isinstance(code, str) and code in _CODES:
        return True
    return any(
        all(part in text for part in parts) for wordings in _WORDINGS.values() for parts in wordings
    )
