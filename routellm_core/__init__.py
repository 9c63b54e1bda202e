"""Cost-aware LLM routing: a prompt goes in, a win rate comes out, a policy makes it a decision."""

from routellm_core.calibration import router_threshold, threshold_for
from routellm_core.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from routellm_core.embedders import Embedder
from routellm_core.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    ConfigurationError,
    MissingDependencyError,
    PromptError,
    RouteLLMError,
    RouterError,
    UnknownModelError,
    UnknownRouterError,
)
from routellm_core.policy import (
    Attempts,
    Capabilities,
    Decider,
    MessageView,
    Overrides,
    RoutingPolicy,
    Turn,
    fault_of,
    read_turn,
)
from routellm_core.routers import Router, load_router, router_class, router_names
from routellm_core.types import Calibration, Decision, DecisionRecord, ModelPair, WinRates

__all__ = [
    "Attempts",
    "Calibration",
    "Capabilities",
    "Checkpoint",
    "CheckpointError",
    "CheckpointNotFoundError",
    "ConfigurationError",
    "Decider",
    "Decision",
    "DecisionRecord",
    "Embedder",
    "MessageView",
    "MissingDependencyError",
    "ModelPair",
    "Overrides",
    "PromptError",
    "RouteLLMError",
    "Router",
    "RouterError",
    "RoutingPolicy",
    "Turn",
    "UnknownModelError",
    "UnknownRouterError",
    "WinRates",
    "fault_of",
    "load_router",
    "read_checkpoint",
    "read_turn",
    "router_class",
    "router_names",
    "router_threshold",
    "threshold_for",
    "write_checkpoint",
]
