"""Experts: the models that a call may go to, and what each can take."""

from routellm_core.experts.capabilities import BYTES_PER_TOKEN, Capabilities
from routellm_core.experts.table import Expert, ExpertTable

__all__ = ["BYTES_PER_TOKEN", "Capabilities", "Expert", "ExpertTable"]
