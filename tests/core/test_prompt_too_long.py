"""How servers say that a prompt is too long, and what only sounds like it."""

import time

import pytest

from routellm_core.policy import fault_of, is_prompt_too_long
from tests.prompts_too_long import SAYINGS


class StatusError(Exception):
    def __init__(self, status, message, **fields):
        super().__init__(message)
        self.status_code = status
        self.__dict__.update(fields)


@pytest.mark.parametrize("server", SAYINGS)
def test_a_prompt_too_long_is_read_from_the_words_of(server) -> None:
    status, message = SAYINGS[server]
    assert is_prompt_too_long(status=status, code=None, message=message)
    assert fault_of(StatusError(status, message)) == "capacity"


CODES = [
    {"code": "context_length_exceeded"},
    {"type": "exceed_context_size_error"},
    {"body": {"code": 400, "type": "exceed_context_size_error"}},
    {"body": {"error": {"type": "request_too_large"}}},
    {"code": "tokens_limit_reached"},
    {"code": "model_max_prompt_tokens_exceeded"},
]


@pytest.mark.parametrize("fields", CODES)
def test_a_prompt_too_long_is_read_from_codes(fields) -> None:
    assert fault_of(StatusError(400, "No.", **fields)) == "capacity"


OTHERS = {
    "too much to write": (400, "max_tokens is too large: 100000. This model supports at most 16384 "
                          "completion tokens, whereas you provided 100000."),
    "Anthropic's limit of words": (400, "max_tokens: 100000 > 8192, which is the maximum allowed "
                                   "number of output tokens for claude-3-5-sonnet"),
    "Groq's limit of words": (400, "`max_tokens` must be less than or equal to 16384, the maximum "
                              "value for `max_tokens` is less than the `context_window`"),
    "a long user name": (400, "Invalid 'user': string too long. Expected a string with maximum "
                         "length 64, but got a string with length 100 instead."),
    "a long description": (400, "Invalid 'tools[0].function.description': string too long. "
                           "Expected a string with maximum length 1024, but got 2000 instead."),
    "an odd temperature": (400, "temperature must be at most 2"),
    "a file too large": (413, "File too large"),
    "a body too large": (413, "Request body too large. Max size: 4 MB."),
    "a long name": (400, "Function name exceeds the maximum allowed length of 64."),
    "not found": (404, "This model's maximum context length is unknown: no such model"),
    "not allowed": (403, "prompt is too long for your plan"),
}  # fmt: skip


@pytest.mark.parametrize("saying", OTHERS)
def test_what_only_sounds_like_it_stays_what_it_was(saying) -> None:
    status, message = OTHERS[saying]
    assert not is_prompt_too_long(status=status, code=None, message=message)
    assert fault_of(StatusError(status, message)) in ("request", "configuration")


RATE_LIMITS = [
    "Rate limit reached for model `llama-3.1-8b-instant` on tokens per minute (TPM): Limit 6000, "
    "Used 5034, Requested 1443. Please try again in 4.77s.",
    "Too many tokens, please wait before trying again.",
    "You exceeded your current quota. Quota exceeded for metric: "
    "generate_content_free_tier_input_token_count, limit: 250000",
]


@pytest.mark.parametrize("message", RATE_LIMITS)
def test_a_rate_limit_counted_in_tokens_is_a_rate_limit(message) -> None:
    assert fault_of(StatusError(429, message)) == "transient"


def test_a_bug_that_speaks_of_prompts_is_a_bug() -> None:
    assert fault_of(ValueError("prompt is too long")) == "unknown"


def test_a_cause_that_a_library_wrapped_is_read() -> None:
    class ChatGoogleGenerativeAIError(Exception):
        pass

    message = "400 The input token count (9) exceeds the maximum number of tokens allowed (8)."
    assert fault_of(ChatGoogleGenerativeAIError(message)) == "capacity"


@pytest.mark.parametrize("unit", ["input ", "prompt is too ", "(", "maximum context lengt"])
def test_reading_a_long_message_takes_time_in_proportion(unit) -> None:
    message = unit * (1_000_000 // len(unit))
    began = time.perf_counter()
    assert not is_prompt_too_long(status=400, code=None, message=message)
    assert time.perf_counter() - began < 0.5
