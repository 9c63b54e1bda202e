"""Read the user's words in the conversation that an agent sends to get its structured output."""

from __future__ import annotations

import re

from llamaindex_routellm.messages import ChatView, Words
from routellm_core import ROLE_NAMES

__all__ = ["conversation_question"]

_BEGIN = "<current_conversation>\n"
_END = "</current_conversation>\n"

# As `llama_index.core.agent.utils.messages_to_xml_format` writes them, its blocks joined by lines.
_MESSAGE = re.compile(r"\t<(\w+)>\n(.*?)\n\t</\1>\n", re.DOTALL)
_WORDS = re.compile(r"\t\t<message>(.*?)</message>\n", re.DOTALL)


def conversation_question(text: str) -> str | None:
    r"""Return the last words of the user in a conversation as XML; None when the text is none.

    Examples
    --------
    >>> said = "\t<user>\n\n\t\t<message>Why?</message>\n\n\t</user>\n"
    >>> conversation_question(f"<current_conversation>\n\n{said}\n</current_conversation>\n\n")
    'Why?'
    """
    if not text.startswith(_BEGIN):
        return None
    said = text[: text.rfind(_END)]
    messages = [
        Words(ROLE_NAMES.get(role, "user"), "\n".join(_WORDS.findall(words)))
        for role, words in _MESSAGE.findall(said)
    ]
    return ChatView(messages).user_text() or None
