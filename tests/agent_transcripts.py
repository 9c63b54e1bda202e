"""What textual agents send: for each, the answer before, and the message in the user's name.

The shapes were read from smolagents 1.26, langchain-classic 1.0, llama-index-core 0.14, crewai
1.15 and open-interpreter 0.4. The others (SWE-agent, mini-swe-agent, Cline, Roo Code, OpenHands,
AutoGPT, AutoGen, Hermes) are written from memory and were not compared with their source.
"""

from __future__ import annotations

QUESTION = "Prove that 7 is odd."

RESULTS: dict[str, tuple[str, str]] = {
    "langchain-react": ("Thought: I add.\nAction: add\nAction Input: 7, 5", "Observation: 12"),
    "paper-react": ("Thought 1: I add.\nAction 1: Search[7]", "Observation 1: seven"),
    "langchain-json-chat": (
        '```json\n{"action": "add", "action_input": "7"}\n```',
        "TOOL RESPONSE: \n---------------------\n12\n\nUSER'S INPUT\n----\n\nOkay, so what is the "
        "response to my last comment?",
    ),
    "smolagents-code": (
        "Thought: I print.\n<code>\nprint(12)\n</code>\nCalling tools:\n[{'id': 'call_1'}]",
        "Observation:\nExecution logs:\n12\nLast output from code snippet:\nNone",
    ),
    "smolagents-tool": ("Calling tools:\n[{'id': 'c', 'type': 'function'}]", "Observation:\n12"),
    "smolagents-error": (
        "I do not know.",
        "Error:\nNo code blob.\nNow let's retry: take care not to repeat previous errors! If you",
    ),
    "smolagents-tool-error": (
        "Calling tools:\n[{'id': 'c'}]",
        "Call id: c\nError:\nx\nNow let's retry: take care not to repeat previous errors! If you",
    ),
    "smolagents-plan": ("1. Add.\n2. Answer.", "Now proceed and carry out this plan."),
    "smolagents-before-1.0": (
        "Code:\n```py\nprint(1)\n```",
        "[OUTPUT OF STEP 1] -> Observation:\n1",
    ),
    "llamaindex-react": ("Thought: I add.\nAction: add\nAction Input: {}", "Observation: 12"),
    "llamaindex-codeact": (
        "<execute>print(12)</execute>",
        "Result of executing the code given:\n\n12",
    ),
    "llamaindex-react-retry": ("Hm.", "Error while parsing the output: no action\n\nThe output"),
    "llamaindex-react-empty": ("", "FAILURE: Your previous response was empty.\nYou must output"),
    "llamaindex-refine-table": (
        "No.",
        "We have provided a table schema below. ---------------------\nt(a)\n"
        "---------------------\nWe have also provided some context information below. No.\n"
        "Given the context information and the table schema, refine the original answer to better",
    ),
    "crewai": ("Thought: I add.\nAction: add\nAction Input: {}", "\nObservation: 12"),
    "crewai-after-tool": (
        "Thought: I add.\nAction: add\nObservation: 12",
        "Analyze the tool result. If requirements are met, provide the Final Answer. Otherwise,",
    ),
    "crewai-format": ("12", "\nSorry, I didn't use the right format. I MUST either use a tool"),
    "crewai-last": ("12", "Now it's time you MUST give your absolute best final answer. You'll"),
    "crewai-tool-error": (
        "Action: add\nAction Input: {}",
        "I encountered an error while trying to use the tool. This was the error: x.",
    ),
    "autogen": (
        "```python\nprint(12)\n```",
        "exitcode: 0 (execution succeeded)\nCode output: \n12",
    ),
    "autogen-failed": ("```sh\nls x\n```", "exitcode: 2 (execution failed)\nCode output: ls: x"),
    "autogpt": ('{"command": {"name": "add"}}', "Command add returned: 12"),
    "swe-agent": ("DISCUSSION\nI look.\n```\nls\n```", "OBSERVATION:\na.py\n(Open file: n/a)"),
    "mini-swe-agent": ("```bash\nls\n```", "<returncode>0</returncode>\n<output>\na.py\n</output>"),
    "openhands": (
        "<function=execute_bash>",
        "EXECUTION RESULT of [execute_bash]:\na.py\n[The command completed with exit code 0.]",
    ),
    "cline": (
        "<read_file><path>app/[id]/a.py</path></read_file>",
        "[read_file for 'app/[id]/a.py'] Result:\nx = 1\n<environment_details>",
    ),
    "roo-without-argument": ("<list_files/>", "[list_files] Result:\na.py"),
    "cline-no-tool": (
        "I am done.",
        "[ERROR] You did not use a tool in your previous response! Please retry with a tool use.",
    ),
    "hermes": (
        '<tool_call>{"name": "add"}</tool_call>',
        '<tool_response>\n{"name": "add", "content": 12}\n</tool_response>',
    ),
    "function-results": ("<function_calls>", "<function_results>\n<result>12</result>"),
    "tool-result-tag": ("add(7, 5)", '<tool_result name="add">12</tool_result>'),
    "code-result-tag": ("```py\n1\n```", "<execution_results>12</execution_results>"),
    "observation-tag": ("<action>add</action>", "<observation>12</observation>"),
    "open-interpreter": (
        "```python\nprint(12)\n```",
        "Code output: 12\n\nWhat does this output mean / what's next (if anything, or are we "
        "done)?",
    ),
    "open-interpreter-silent": (
        "```python\nx = 12\n```",
        "The code above was executed on my machine. It produced no text output. what's next (if "
        "anything, or are we done)?",
    ),
    "by-hand": ("CALL add 7 5", "Tool result for add: 12"),
    "by-hand-plain": ("CALL add 7 5", "Tool call result: 12"),
}

PEOPLE: dict[str, tuple[str, str]] = {
    "observation after small talk": ("Hello!", "Observation: it rains."),
    "observation in the middle": (
        "Thought: x\nAction: add",
        "Stop. You wrote 'Observation: 12', which is wrong.",
    ),
    "an error pasted": ("Run `python a.py`.", "Error:\nModuleNotFoundError: No module named 'x'"),
    "an error told": ("Run it.", "I encountered an error: the file is missing."),
    "a tag pasted further down": ("Hm.", "What is <tool_result>12</tool_result>?"),
    "output pasted": ("```python\nprint(12)\n```", "Code output: 12. Why?"),
    "a heading": ("Yes.", "Results: all is well. What now?"),
    "feedback to Cline": (
        "<attempt_completion>",
        "[attempt_completion] Result:\n<feedback>Add a test.</feedback>",
    ),
    "an answer to Cline": (
        "<ask_followup_question>",
        "[ask_followup_question for 'Which?'] Result:\n<answer>Both</answer>",
    ),
    "a plan's end": ("1. Add.", "Proceed."),
}

_REACT = (
    "Answer the following questions as best you can.\n\nUse the following format:\n\n"
    "Question: the input question you must answer\nThought: you should always think\n"
    "Action: the action to take\nObservation: the result of the action\n\nBegin!\n\n"
    f"Question: {QUESTION}\nThought:"
)
_DSPY = f"[[ ## question ## ]]\n{QUESTION}\n\n[[ ## trajectory ## ]]\n"
_CHAT = f"{QUESTION}\n\n"
_STRUCTURED = "\n (reminder to respond in a JSON blob no matter what)"

GROWING: dict[str, tuple[str, str]] = {
    "langchain-react": (_REACT, f"{_REACT} I add.\nAction: add\nObservation: 12\nThought: "),
    "dspy-react": (
        f"{_DSPY}\n\nRespond with the corresponding output fields",
        f"{_DSPY}[[ ## thought_0 ## ]]\nI add.\n\n[[ ## observation_0 ## ]]\n12\n\nRespond",
    ),
    "langchain-chat": (
        QUESTION,
        f"{_CHAT}This was your previous work (but I haven't seen any of it! I only see what you "
        "return as final answer):\nThought: I add.\nObservation: 12\nThought: ",
    ),
    "langchain-structured-chat": (
        f"{_CHAT}{_STRUCTURED}",
        f"{_CHAT}Thought: I add.\nAction:\n```\n{{}}\n```\nObservation: 12\nThought: {_STRUCTURED}",
    ),
}
"""Agents that send one message, which grows: at the first and at a later step."""
