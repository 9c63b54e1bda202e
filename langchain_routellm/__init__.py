"""Cost-aware routing as a drop-in LangChain chat model."""

from langchain_routellm import _framework  # noqa: F401 - checks that LangChain is there
from langchain_routellm.chat_model import RoutedChatModel
from langchain_routellm.middleware import RoutingMiddleware

__all__ = ["RoutedChatModel", "RoutingMiddleware"]
