"""How servers say that a prompt is too long, and what only sounds like it."""

import time

import pytest

from routellm_core.policy import fault_of, is_prompt_too_long

SAYINGS = {
    "OpenAI": (400, "This model's maximum context length is 8192 tokens. However, your messages "
               "resulted in 9000 tokens. Please reduce the length of the messages."),
    "OpenAI responses": (400, "Your input exceeds the context window of this model. Please adjust "
                         "your input and try again."),
    "OpenAI gpt-5": (400, "Input tokens exceed the configured limit of 272000 tokens. Your "
                     "messages resulted in 300000 tokens. Please reduce the length."),
    "OpenAI string": (400, "Invalid 'messages[0].content': string too long. Expected a string with "
                      "maximum length 10485760, but got a string with length 20000000 instead."),
    "OpenAI per minute": (429, "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, "
                          "Requested 342389. The input or output tokens must be reduced."),
    "vLLM": (400, "This model's maximum context length is 16384 tokens. However, you requested "
             "122946 tokens (112946 in the messages, 10000 in the completion)."),
    "vLLM decoder": (400, "The decoder prompt (length 21535) is longer than the maximum model "
                     "length of 16384. Make sure that `max_model_len` is no smaller."),
    "vLLM fit": (400, "The prompt (total length 25938) is too long to fit into the model (context "
                 "length 4096)."),
    "vLLM passed": (400, "You passed 9000 input tokens and requested 0 output tokens. However, the "
                    "model's context length is only 8192 tokens."),
    "vLLM sum": (400, "'max_tokens' or 'max_completion_tokens' is too large: 8000. This model's "
                 "maximum context length is 8192 tokens and your request has 500 input tokens."),
    "SGLang": (400, "The input (61709 tokens) is longer than the model's context length (40960 "
               "tokens)."),
    "SGLang total": (400, "Requested token count exceeds the model's maximum context length of "
                     "4096 tokens. You requested a total of 5000 tokens."),
    "llama.cpp": (400, "the request exceeds the available context size, try increasing it"),
    "llama.cpp numbers": (400, "request (9000 tokens) exceeds the available context size (4096 "
                          "tokens), try increasing it"),
    "llama.cpp full": (500, "Context size has been exceeded."),
    "Mistral": (400, "Prompt contains 65673 tokens and 0 draft tokens, too large for model with "
                "32768 maximum context length"),
    "Gemini": (400, "The input token count (1196265) exceeds the maximum number of tokens allowed "
               "(1048575)."),
    "Vertex": (400, "The input token count is 1200000 but model only supports up to 1048576."),
    "Anthropic": (400, "prompt is too long: 210000 tokens > 200000 maximum"),
    "Anthropic sum": (400, "input length and `max_tokens` exceed context limit: 199000 + 20000 > "
                      "200000, decrease input length or `max_tokens` and try again"),
    "xAI": (400, "This model's maximum prompt length is 131072 but the request contains 537812 "
            "tokens."),
    "LM Studio": (400, "The number of tokens to keep from the initial prompt is greater than the "
                  "context length. Try to load the model with a larger context length."),
    "LM Studio keep": (400, "Trying to keep the first 5000 tokens when context the overflows. "
                       "However, the model is loaded with context length of only 4096 tokens."),
    "OpenRouter": (400, "This endpoint's maximum context length is 32768 tokens. However, you "
                   "requested about 42832 tokens (42832 of text input)."),
    "Cohere": (400, "too many tokens: total number of tokens in the prompt exceeds the limit of "
               "4081"),
    "Bedrock": (400, "Input is too long for requested model."),
    "Bedrock Titan": (400, "Too many input tokens. Max input tokens: 8192, request input token "
                      "count: 9000"),
    "Ollama": (400, "prompt too long; exceeded max context length by 4096 tokens"),
    "Ollama embed": (500, "the input length exceeds the context length"),
    "Groq": (400, "Please reduce the length of the messages or completion."),
    "Groq per minute": (413, "Request too large for model `llama-3.3-70b-versatile` in "
                        "organization `org` on tokens per minute (TPM): Limit 12000"),
    "Together": (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. "
                 "Given: 4031 `inputs` tokens and 200 `max_new_tokens`"),
    "TGI": (422, "Input validation error: `inputs` must have less than 2048 tokens. Given: 2233"),
    "DeepSeek": (400, "This model's maximum context length is 131072 tokens. However, you "
                 "requested 131134 tokens (122942 in the messages, 8192 in the completion)."),
    "Fireworks": (400, "The prompt is too long: 200000, model maximum context length: 131071"),
    "Cerebras": (400, "Please reduce the length of the input. Current length is 9000 while limit "
                 "is 8192"),
    "DashScope": (400, "Range of input length should be [1, 30720]"),
    "GitHub Models": (400, "prompt token count of 9000 exceeds the limit of 8000"),
    "MiniMax": (400, "invalid params, context window exceeds limit"),
    "Moonshot": (400, "Your request exceeded model token limit: 262144 (requested: 300000)"),
    "Zhipu": (400, "Prompt exceeds max length"),
}  # fmt: skip


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
