"""Checkpoints for others: a model card, and the way to the Hugging Face Hub."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from routellm_core.checkpoints import notes_folder, read_checkpoint
from routellm_core.errors import CheckpointError
from routellm_core.routers.added import added_reports
from routellm_core.routers.embedding import EmbeddingRouter
from routellm_core.routers.registry import is_registered, router_class

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from routellm_core.checkpoints import Checkpoint
    from routellm_core.routers.added import AddedModel
    from routellm_core.routers.base import Router

__all__ = ["model_card", "push_to_hub"]


def push_to_hub(
    router: Router, repository: str, *, private: bool = True, api: HfApi | None = None
) -> str:
    """Upload a router's checkpoint, with a model card, and return the commit's URL.

    Parameters
    ----------
    router
        A router that can be saved.
    repository
        "owner/name"; it is made if it is not there.
    private
        Who may read a repository that is made now. An index of battles or prompts holds
        embeddings of them, from which texts can be guessed.
    api
        A client with another endpoint or token; by default the one you are logged in with.

    Raises
    ------
    ConfigurationError
        If the router cannot be saved.
    CheckpointError
        If the Hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    api = api or HfApi()
    with TemporaryDirectory() as work:
        folder = router.save(Path(work) / "checkpoint")
        card = model_card(read_checkpoint(notes_folder(folder)), repository=repository)
        (folder / "README.md").write_text(card, encoding="utf-8")
        try:
            api.create_repo(repository, private=private, exist_ok=True, repo_type="model")
            commit = api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                commit_message=f"Upload a {router.name} router",
            )
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            raise CheckpointError(
                f"The checkpoint could not be uploaded to {repository!r}. Log in with `hf auth "
                f"login` or set HF_TOKEN, and check that you may write there: {error}"
            ) from error
    return str(commit.commit_url)


def model_card(checkpoint: Checkpoint, *, repository: str | None = None) -> str:
    """Return a checkpoint's model card, in Markdown: what it is, how to load it, how it was made.

    Parameters
    ----------
    repository
        Where the card will lie; by default a folder is named in its example.
    """
    pair, source = checkpoint.pair, repository or "path/to/this/folder"
    options = ", embedder=embedder" if _needs_embedder(checkpoint) else ""
    lines = [
        "---",
        "library_name: routellm-plugins",
        "tags: [llm-routing, routellm]",
        *([f"license: {checkpoint.training['license']}"] if _has_license(checkpoint) else []),
        "---",
        "",
        f"# A `{checkpoint.router}` router for choosing between a strong and a weak model",
        "",
        "It turns a prompt into a win rate: the probability that the strong model's answer is the",
        "better one, ties counting half.",
        "",
        "```python",
        "from routellm_core import load_router",
        "",
        f'router = load_router("{checkpoint.router}", checkpoint="{source}"{options})',
        'router.win_rate("Prove that there are infinitely many primes.")',
        "```",
        "",
        "| | |",
        "| --- | --- |",
        f"| strong model | {pair.strong if pair else 'any'} |",
        f"| weak model | {pair.weak if pair else 'any'} |",
        f"| embedder | {checkpoint.embedder or 'none recorded'} |",
        f"| calibration | {_calibration(checkpoint)} |",
        "",
        *_added(checkpoint),
        *_training(checkpoint),
    ]
    return "\n".join(lines) + "\n"


def _needs_embedder(checkpoint: Checkpoint) -> bool:
    """Return whether the reader has to pass an embedder that the checkpoint cannot name."""
    if checkpoint.embedder is not None or not is_registered(checkpoint.router):
        return False
    return issubclass(router_class(checkpoint.router), EmbeddingRouter)


def _has_license(checkpoint: Checkpoint) -> bool:
    return isinstance(checkpoint.training.get("license"), str)


def _calibration(checkpoint: Checkpoint) -> str:
    calibration = checkpoint.calibration
    if calibration is None:
        return "none"
    return f"{calibration.n_prompts} prompts ({calibration.source})"


def _added(checkpoint: Checkpoint) -> list[str]:
    """Return a table of the models that were added after training, guesses called so."""
    reports = added_reports(checkpoint.training)
    if not reports:
        return []
    rows = [f"| {name} | {_basis(report)} |" for name, report in reports.items()]
    head = "Models that were added after training:"
    return [head, "", "| model | known from |", "| --- | --- |", *rows, ""]


def _basis(report: AddedModel) -> str:
    if report.is_guess:
        return f"a guess: like {report.like}"
    start = "" if report.like is None else f", starting from {report.like}"
    return f"{report.n_prompts} prompts{start}"


def _training(checkpoint: Checkpoint) -> list[str]:
    if not checkpoint.training:
        return []
    record: dict[str, Any] = dict(checkpoint.training)
    text = json.dumps(record, indent=2, ensure_ascii=False, sort_keys=True)
    return ["## Training", "", "```json", text, "```"]
