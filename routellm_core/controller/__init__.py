"""RouteLLM's Controller, and what it shares with the server."""

from routellm_core.controller.calls import Endpoint
from routellm_core.controller.config import RouterOptions, load_routers
from routellm_core.controller.controller import Controller, RoutingError
from routellm_core.controller.fleet import Fleet
from routellm_core.controller.messages import OpenAIView
from routellm_core.controller.names import AUTO, RoutedName, read_model_name
from routellm_core.controller.streams import AsyncRoutedStream, RoutedStream

__all__ = [
    "AUTO",
    "AsyncRoutedStream",
    "Controller",
    "Endpoint",
    "Fleet",
    "OpenAIView",
    "RoutedName",
    "RoutedStream",
    "RouterOptions",
    "RoutingError",
    "load_routers",
    "read_model_name",
]
