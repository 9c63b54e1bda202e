"""Scores of an answer: verifiers for cascades and best-of, and similarities of texts."""

from routellm_core.answers.agreement import Agreement, Similarity, consistency
from routellm_core.answers.checks import (
    Predicate,
    check,
    has_length,
    is_complete,
    is_json,
    is_python,
    matches,
)
from routellm_core.answers.combining import all_of, any_of, first_failing, mean_of
from routellm_core.answers.content import Answer, Prompt, Token, ToolCall
from routellm_core.answers.draft_watch import DraftWatch
from routellm_core.answers.final_answers import final_answer
from routellm_core.answers.judging import judge
from routellm_core.answers.learned_verifier import LearnedVerifier, learned
from routellm_core.answers.likelihood import LanguageModel, TextNLL, text_nll
from routellm_core.answers.logprobs import LogprobStatistic, logprob
from routellm_core.answers.refusals import no_refusal, refusal_language
from routellm_core.answers.registry import (
    VERIFIER_ENTRY_POINT_GROUP,
    load_verifier,
    verifier_names,
)
from routellm_core.answers.schemas import schema
from routellm_core.answers.score_calibration import ScoreCalibration, calibrated
from routellm_core.answers.similarity import bert_sim
from routellm_core.answers.steps import Ask, Invocation, Plan, Request, Step, arun, run, together
from routellm_core.answers.token_fields import read_tokens
from routellm_core.answers.token_matching import BERTScores, TokenEncoder, bert_score
from routellm_core.answers.verifier import Score, Verifier, Watch

__all__ = [
    "VERIFIER_ENTRY_POINT_GROUP",
    "Agreement",
    "Answer",
    "Ask",
    "BERTScores",
    "DraftWatch",
    "Invocation",
    "LanguageModel",
    "LearnedVerifier",
    "LogprobStatistic",
    "Plan",
    "Predicate",
    "Prompt",
    "Request",
    "Score",
    "ScoreCalibration",
    "Similarity",
    "Step",
    "TextNLL",
    "Token",
    "TokenEncoder",
    "ToolCall",
    "Verifier",
    "Watch",
    "all_of",
    "any_of",
    "arun",
    "bert_score",
    "bert_sim",
    "calibrated",
    "check",
    "consistency",
    "final_answer",
    "first_failing",
    "has_length",
    "is_complete",
    "is_json",
    "is_python",
    "judge",
    "learned",
    "load_verifier",
    "logprob",
    "matches",
    "mean_of",
    "no_refusal",
    "read_tokens",
    "refusal_language",
    "run",
    "schema",
    "text_nll",
    "together",
    "verifier_names",
]
