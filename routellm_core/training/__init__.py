"""From battles or outcomes to a router, measured and calibrated on prompts it did not see."""

from routellm_core.training.adapted import train_adapted
from routellm_core.training.auto import train_auto
from routellm_core.training.bert import train_bert
from routellm_core.training.causal_llm import train_causal_llm
from routellm_core.training.cluster import train_cluster
from routellm_core.training.ensemble import train_ensemble
from routellm_core.training.examples import TrainingData, read_data
from routellm_core.training.guards import data_doubts
from routellm_core.training.knn import train_knn
from routellm_core.training.mf import train_mf
from routellm_core.training.mlp import train_mlp
from routellm_core.training.sw_ranking import train_sw_ranking
from routellm_core.training.trained import Trained
from routellm_core.training.trainers import TRAINERS
from routellm_core.training.verifier import TrainedVerifier, answer_doubts, train_verifier
from routellm_core.training.verifier_calibration import CalibratedScores, calibrate_verifier

__all__ = [
    "TRAINERS",
    "CalibratedScores",
    "Trained",
    "TrainedVerifier",
    "TrainingData",
    "answer_doubts",
    "calibrate_verifier",
    "data_doubts",
    "read_data",
    "train_adapted",
    "train_auto",
    "train_bert",
    "train_causal_llm",
    "train_cluster",
    "train_ensemble",
    "train_knn",
    "train_mf",
    "train_mlp",
    "train_sw_ranking",
    "train_verifier",
]
