"""From a conversation and a win rate to a decision, and what an error means."""

from routellm_core.policy.answers import (
    holds_answer,
    says_words,
    shows_something,
    unusable_answer,
    unusable_answer_error,
)
from routellm_core.policy.cache_rule import CacheAware, CacheRule, CacheSettings, cache_settings
from routellm_core.policy.capabilities import missing_capability
from routellm_core.policy.conversation import (
    MessageView,
    Role,
    RoutingText,
    Turn,
    check_routing_text,
    read_turn,
    speakers,
)
from routellm_core.policy.decider import Decider, FirstStep
from routellm_core.policy.dropping import check_drop_params
from routellm_core.policy.faults import Fault, fault_of, retry_after_of
from routellm_core.policy.follow_ups import is_follow_up
from routellm_core.policy.known_models import known_capabilities
from routellm_core.policy.memory import RecentValues
from routellm_core.policy.model_check import check_model
from routellm_core.policy.parts import KNOWN_PARTS, is_tool_result_content, modalities_of
from routellm_core.policy.pastes import request_in
from routellm_core.policy.prefixes import History, HistoryReader, PastAnswer, PrefixMemory
from routellm_core.policy.prompt_length import is_prompt_too_long
from routellm_core.policy.routing import (
    NO_OVERRIDES,
    Overrides,
    Route,
    RoutingPolicy,
    check_threshold,
)
from routellm_core.policy.settings import (
    DEFAULT_ROUTER_DEADLINE_S,
    DEFAULT_STRONG_SHARE,
    Target,
    make_decider,
    resolve_router,
    resolve_threshold,
)
from routellm_core.policy.threshold_notes import note_threshold
from routellm_core.policy.tool_results import ROLE_NAMES

__all__ = [
    "DEFAULT_ROUTER_DEADLINE_S",
    "DEFAULT_STRONG_SHARE",
    "KNOWN_PARTS",
    "NO_OVERRIDES",
    "ROLE_NAMES",
    "CacheAware",
    "CacheRule",
    "CacheSettings",
    "Decider",
    "Fault",
    "FirstStep",
    "History",
    "HistoryReader",
    "MessageView",
    "Overrides",
    "PastAnswer",
    "PrefixMemory",
    "RecentValues",
    "Role",
    "Route",
    "RoutingPolicy",
    "RoutingText",
    "Target",
    "Turn",
    "cache_settings",
    "check_drop_params",
    "check_model",
    "check_routing_text",
    "check_threshold",
    "fault_of",
    "holds_answer",
    "is_follow_up",
    "is_prompt_too_long",
    "is_tool_result_content",
    "known_capabilities",
    "make_decider",
    "missing_capability",
    "modalities_of",
    "note_threshold",
    "read_turn",
    "request_in",
    "resolve_router",
    "resolve_threshold",
    "retry_after_of",
    "says_words",
    "shows_something",
    "speakers",
    "unusable_answer",
    "unusable_answer_error",
]
