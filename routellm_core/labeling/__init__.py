"""From logs without labels to battles and outcomes: answers, verdicts, agreement."""

from routellm_core.labeling.asking import Asker, AskError, LiteLLMAsker
from routellm_core.labeling.calls import Call, Reply
from routellm_core.labeling.estimate import Estimate
from routellm_core.labeling.feedback import FeedbackReader
from routellm_core.labeling.human_sample import HumanSample, JudgeAgreement, read_human_sample
from routellm_core.labeling.labelling import LabelJob, alabel, estimate_job, label
from routellm_core.labeling.logged import LoggedPrompt, Signal
from routellm_core.labeling.logs import LoggedPrompts, read_logged_prompts
from routellm_core.labeling.reports import LabelReport
from routellm_core.labeling.running import Progress
from routellm_core.labeling.selection import Choice, choose, without_near_duplicates
from routellm_core.labeling.settings import LabelSettings
from routellm_core.labeling.shadow_estimates import Estimated, ShadowEstimates, estimate_shadows
from routellm_core.labeling.soft import best_shift, soft_labels

__all__ = [
    "AskError",
    "Asker",
    "Call",
    "Choice",
    "Estimate",
    "Estimated",
    "FeedbackReader",
    "HumanSample",
    "JudgeAgreement",
    "LabelJob",
    "LabelReport",
    "LabelSettings",
    "LiteLLMAsker",
    "LoggedPrompt",
    "LoggedPrompts",
    "Progress",
    "Reply",
    "ShadowEstimates",
    "Signal",
    "alabel",
    "best_shift",
    "choose",
    "estimate_job",
    "estimate_shadows",
    "label",
    "read_human_sample",
    "read_logged_prompts",
    "soft_labels",
    "without_near_duplicates",
]
