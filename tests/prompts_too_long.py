"""How servers say that a prompt is too long: status and message, by the server."""

__all__ = ["SAYINGS"]

SAYINGS = {
    "OpenAI": (400, "This model's maximum context length is 8192 tokens. However, your messages "
               "resulted in 9000 tokens. Please reduce the length of the messages."),
    "OpenAI responses": (400, "Your input exceeds the context window of this model. Please adjust "
                         "your input and try again."),
    "OpenAI gpt-5": (400, "Input tokens exceed the configured limit of 272000 tokens. Your "
                     "messages resulted in 300000 tokens. Please reduce the length."),
    "OpenAI string": (400, "Invalid 'messages[0].content': string too long. Expected a string with "
                      "maximum length 10485760, but got a string with length 20000000 instead."),
    "OpenAI input": (400, "Invalid 'input': string too long. Expected a string with maximum length "
                     "10485760, but got a string with length 20000000 instead."),
    "OpenAI quoted": (500, "upstream said {'message': 'No.', 'code': 'context_length_exceeded'}"),
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
    "llama.cpp quoted": (500, "upstream said {'message': 'No.', 'type': "
                         "'exceed_context_size_error'}"),
    "llama.cpp full": (500, "Context size has been exceeded."),
    "Mistral": (400, "Prompt contains 65673 tokens and 0 draft tokens, too large for model with "
                "32768 maximum context length"),
    "Gemini": (400, "The input token count (1196265) exceeds the maximum number of tokens allowed "
               "(1048575)."),
    "Vertex": (400, "The input token count is 1200000 but model only supports up to 1048576."),
    "Anthropic": (400, "prompt is too long: 210000 tokens > 200000 maximum"),
    "Anthropic size": (413, "Request exceeds the maximum size"),
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
    "Ollama longer": (500, "the prompt is longer than the context length"),
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
    "SGLang allowed": (400, "Input length (9000 tokens) exceeds the maximum allowed length (8186 "
                       "tokens). Use a shorter input or enable --allow-auto-truncate."),
    "llama-cpp-python": (500, "Requested tokens (4217) exceed context window of 4096"),
    "MLC LLM": (400, "Request prompt has 9000 tokens in total, larger than the model input length "
                "limit 4096."),
    "MLC LLM capacity": (400, "Request prompt has 9000 tokens in total, larger than the model "
                         "capacity 4096."),
    "DeepInfra": (400, "Requested input length 39818 exceeds maximum input length 32767"),
    "Bedrock Nova": (400, "The model returned the following errors: Input Tokens Exceeded: Number "
                     "of input tokens exceeds maximum length. Please update the input to try "
                     "again."),
    "watsonx": (400, "Invalid input argument for Model 'granite': the number of input tokens 5000 "
                "cannot exceed the total tokens limit 4096 for this model"),
    "Workers AI": (413, "5021: The estimated number of input and maximum output tokens (9000) "
                   "exceeded this model context window limit (8192)."),
    "GitHub Models body": (413, "Request body too large for gpt-4o model. Max size: 8000 tokens."),
    "GitHub Models quoted": (413, "upstream said {'message': 'No.', 'code': "
                             "'tokens_limit_reached'}"),
    "SiliconFlow": (400, "length of prompt_tokens (28094) must be less than max_seq_len (8193)."),
    "SiliconFlow sum": (400, "max_total_tokens (33219) must be less than or equal to max_seq_len "
                        "(32768)"),
    "Doubao": (400, "Total tokens of image and text exceed max message tokens. Request id: 1"),
    "LiteLLM's proxy": (400, "litellm.ContextWindowExceededError: litellm.BadRequestError: "
                        "XException - Too big."),
}  # fmt: skip
