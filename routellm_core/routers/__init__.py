"""Router strategies, one a file, the registry of their names, and how a router is named."""

from routellm_core.routers.added import AddedModel
from routellm_core.routers.base import Router
from routellm_core.routers.loading import (
    RouterName,
    check_router,
    checkpoint_router,
    load_router,
    read_router_name,
)
from routellm_core.routers.prompt_choice import choose_prompts
from routellm_core.routers.registry import router_class, router_extra, router_names

__all__ = [
    "AddedModel",
    "Router",
    "RouterName",
    "check_router",
    "checkpoint_router",
    "choose_prompts",
    "load_router",
    "read_router_name",
    "router_class",
    "router_extra",
    "router_names",
]
