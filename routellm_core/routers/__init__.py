"""Router strategies, one a file, and the registry of their names."""

from routellm_core.routers.base import Router
from routellm_core.routers.registry import (
    load_router,
    router_class,
    router_extra,
    router_names,
)

__all__ = ["Router", "load_router", "router_class", "router_extra", "router_names"]
