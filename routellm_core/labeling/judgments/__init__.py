"""People's judgments of pairs of answers: difficulty of questions, agreement, labels."""

from routellm_core.labeling.judgments.analysis import (
    Analysis,
    LabelSplit,
    analyze_judgments,
    label_questions,
    write_labels,
)
from routellm_core.labeling.judgments.page import render_analysis, write_analysis_page
from routellm_core.labeling.judgments.votes import Judgments, Vote, read_judgments

__all__ = [
    "Analysis",
    "Judgments",
    "LabelSplit",
    "Vote",
    "analyze_judgments",
    "label_questions",
    "read_judgments",
    "render_analysis",
    "write_analysis_page",
    "write_labels",
]
