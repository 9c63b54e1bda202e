"""Text that an agent framework sends in the user's name: tool results, retries, earlier steps.

Frameworks without tool messages return a tool's result as a user message. Such a message belongs
to the turn of the user's question; were it routed, the model could change within one task.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from routellm_core.policy.conversation import Role

__all__ = ["ROLE_NAMES", "is_tool_result", "without_scratchpad"]

ROLE_NAMES: dict[str, Role] = {
    "ai": "assistant",
    "assistant": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "tool-call": "assistant",  # smolagents, where roles are not converted
    "tool_call": "assistant",
    "developer": "system",
    "system": "system",
    "environment": "tool",
    "function": "tool",
    "ipython": "tool",  # Llama 3
    "observation": "tool",  # GLM
    "tool": "tool",
    "tool-response": "tool",
    "tool_response": "tool",
    "human": "user",
    "user": "user",
}
"""Who speaks under the names of roles that providers and frameworks use."""

_ANY = re.compile("")
_ACTION = re.compile(
    r"Action(?: Input| \d{1,3})?:|\"action\"|Calling tools:|<code>|<tool_call>|Code:\n```"
)
_CODE = re.compile(r"```|<code>|<execute>|<tool_call>|Action:")


class _Form(NamedTuple):
    """How a framework begins a message that no person wrote."""

    opening: re.Pattern[str]
    cause: re.Pattern[str] = _ANY
    """What the answer before it must hold, where people may begin a message like that, too."""
    contains: str = ""


_FORMS = (
    # ReAct: LangChain, LlamaIndex, CrewAI, smolagents, and "Observation 1:" of the paper.
    _Form(re.compile(r"Observation(?: \d{1,3})?:", re.IGNORECASE), _ACTION),
    # smolagents and SWE-agent put the result of code on a line of its own.
    _Form(re.compile(r"Observation:\r?\n", re.IGNORECASE), _CODE),
    _Form(re.compile(r"\[OUTPUT OF STEP \d{1,4}\] -> Observation:")),
    _Form(
        re.compile(r"(?:Call id: \S{1,100}\n)?Error:\n"),
        contains="\nNow let's retry: take care not to repeat previous errors!",
    ),
    _Form(re.compile("Now proceed and carry out this plan")),
    # LangChain's conversational agents, and "Tool result for add:" of many others.
    _Form(
        re.compile(r"Tool (?:response|result|output)s?(?: (?:for|from|of) [^\n:]{1,100})?:", re.I)
    ),
    _Form(re.compile("Tool call result(?: for [^\n:]{1,100})?:", re.I)),
    # LlamaIndex's CodeAct and ReAct agents.
    _Form(re.compile("Result of executing the code given:\n"), re.compile("<execute>")),
    _Form(re.compile("Error while parsing the output: ")),
    _Form(re.compile("FAILURE: Your previous response was empty.\n")),
    # LlamaIndex's chat template that refines an answer with a table's schema.
    _Form(
        re.compile("We have provided a table schema below. -{5,40}\n"),
        contains="Given the context information and the table schema, refine the original answer",
    ),
    # AutoGen, AutoGPT, OpenHands, Open Interpreter.
    _Form(re.compile(r"exitcode: -?\d{1,5} \(execution (?:succeeded|failed)\)")),
    _Form(re.compile(r"Command \S{1,100} returned: "), re.compile('"command"|"name"')),
    _Form(re.compile(r"EXECUTION RESULT of \[")),
    _Form(re.compile("Code output: "), contains="\n\nWhat does this output mean / what's next"),
    _Form(re.compile("The code above was executed on my machine.")),
    # CrewAI.
    _Form(re.compile("Analyze the tool result. If requirements are met")),
    _Form(re.compile("Sorry, I didn't use the right format.")),
    _Form(re.compile("Now it's time you MUST give your absolute best final answer.")),
    _Form(re.compile("I encountered an error(?: while trying to use the tool|: )"), _ACTION),
    _Form(re.compile("Error: the Action Input is not a valid key, value dictionary.")),
    # Cline and Roo Code. What a person answers comes back as a tool's result as well.
    _Form(
        re.compile(
            r"\[(?!attempt_completion|ask_followup_question|plan_mode|new_task)"
            r"\w{1,100}(?: for '(?s:.){0,4000}?)?\] Result:"
        )
    ),
    _Form(re.compile(r"\[ERROR\] You did not use a tool in your previous response!")),
    # Hermes and others that mark results as XML; mini-swe-agent's return code.
    _Form(
        re.compile(
            r"<(?:tool|function|code|command|execution)_(?:result|response|output)s?"
            r"(?: [^<>]{0,200})?>",
            re.IGNORECASE,
        )
    ),
    _Form(re.compile(r"<(?:observation|returncode)>", re.IGNORECASE)),
)

_BEGIN = "\nBegin!"
_QUESTION = "\nQuestion:"
_THOUGHT = "\nThought:"
_STEPS = (
    # DSPy's ReAct; LangChain's chat agents.
    "\n[[ ## trajectory ## ]]",
    "\n\nThis was your previous work (but I haven't seen any of it!",
)
_REMINDER = "(reminder to respond in a JSON blob no matter what)"


def is_tool_result(text: str, answer: str) -> bool:
    """Return whether a message in the user's name was written by an agent framework.

    Parameters
    ----------
    text
        The message. Only its beginning counts: a person may quote an observation further down.
    answer
        The assistant's latest message before it. Without one the message is always the user's.

    Examples
    --------
    >>> is_tool_result("Observation: 12", "Action: add")
    True
    >>> is_tool_result("Observation: it rains.", "Hello!")
    False
    """
    text = text.lstrip()
    return any(
        form.opening.match(text) and form.contains in text and form.cause.search(answer)
        for form in _FORMS
    )


def without_scratchpad(text: str) -> str:
    """Return a user message without the earlier steps that some agents append to it.

    Textual agents send one message that grows with every step. What is cut off would route each
    step on other words; of LangChain's ReAct template the question is what remains.

    Examples
    --------
    >>> step = ["Question: Is 7 odd?", "Thought: I divide.", "Observation: 3.5", "Thought:"]
    >>> without_scratchpad(chr(10).join(["Use this format: ...", "Begin!", *step]))
    'Is 7 odd?'
    """
    for marker in _STEPS:
        head, found, _ = text.partition(marker)
        if found:
            return head
    if text.rstrip().endswith(_REMINDER):
        # LangChain's structured chat agent.
        head = text.rstrip().removesuffix(_REMINDER)
        cuts = [head.find(step) for step in (_THOUGHT, "\nAction:", "\nObservation:")]
        return head[: min((cut for cut in cuts if cut >= 0), default=len(head))].rstrip()
    _, begun, task = text.partition(_BEGIN)
    _, asked, question = task.partition(_QUESTION)
    question, thinks, _ = question.partition(_THOUGHT)
    return question.strip() if begun and asked and thinks and question.strip() else text
