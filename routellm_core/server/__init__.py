"""The OpenAI-compatible server."""

from routellm_core.server.app import create_app
from routellm_core.server.settings import ServerSettings, read_settings

__all__ = ["ServerSettings", "create_app", "read_settings"]
