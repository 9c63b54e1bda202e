"""Own logs, battles and outcomes, read as they are."""

from routellm_core.data.answers import GradedAnswers, read_answers
from routellm_core.data.battles import Battles, read_battles
from routellm_core.data.outcomes import Outcomes, read_outcomes
from routellm_core.data.rows import BadRows, RowReport, RowSource

__all__ = [
    "BadRows",
    "Battles",
    "GradedAnswers",
    "Outcomes",
    "RowReport",
    "RowSource",
    "read_answers",
    "read_battles",
    "read_outcomes",
]
