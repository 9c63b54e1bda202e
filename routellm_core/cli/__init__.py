"""The `routellm` command."""

from routellm_core.cli.app import app, main

__all__ = ["app", "main"]
