"""From a name to an embedder: what commands take, and what checkpoints record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.embedders.base import identity_of
from routellm_core.errors import CheckpointError, ConfigurationError

if TYPE_CHECKING:
    from routellm_core.checkpoints import Checkpoint
    from routellm_core.embedders.base import Embedder

__all__ = ["embedder_for", "load_embedder"]

_KINDS = "'bundled', 'sentence-transformers:MODEL', 'litellm:MODEL', or several joined by '+'"


def load_embedder(name: str, **options: Any) -> Embedder:
    """Return the embedder that a name stands for.

    Parameters
    ----------
    name
        "bundled", "sentence-transformers:MODEL" or "litellm:MODEL"; for example
        "sentence-transformers:all-MiniLM-L6-v2" or "litellm:text-embedding-3-small". Several of
        them joined by "+" make a `JoinedEmbedder`.
    options
        Passed to the embedder's class; not for several.

    Raises
    ------
    ConfigurationError
        If the name is none of these.
    MissingDependencyError
        If the embedder's library is not installed.
    """
    if "+" in name and not options:
        from routellm_core.embedders.joined import JoinedEmbedder

        return JoinedEmbedder(*[load_embedder(part) for part in name.split("+")])
    kind, _, model = name.partition(":")
    if kind == "sentence-transformers" and model:
        from routellm_core.embedders.sentence_transformers import SentenceTransformersEmbedder

        return SentenceTransformersEmbedder(model, **options)
    if kind == "litellm" and model:
        from routellm_core.embedders.litellm import LiteLLMEmbedder

        model, _, dimensions = model.partition("@")
        if dimensions.isdigit():
            options = {"dimensions": int(dimensions), **options}
        return LiteLLMEmbedder(model, **options)
    if name == "bundled" or name.startswith("bundled-"):
        from routellm_core.embedders.bundled import BundledEmbedder

        return BundledEmbedder(**options)
    raise ConfigurationError(f"Unknown embedder {name!r}. Known are {_KINDS}.")


def embedder_for(checkpoint: Checkpoint, embedder: Embedder | None) -> Embedder:
    """Return the embedder that a checkpoint's weights were fitted on.

    Parameters
    ----------
    embedder
        The caller's; by default the one that the checkpoint records, which is loaded.

    Raises
    ------
    CheckpointError
        If the caller's embedder is another one than the recorded one, or none is recorded and
        none is given.
    """
    recorded = checkpoint.embedder
    if embedder is not None:
        if recorded is not None:
            checkpoint.check_embedder(identity_of(embedder) or "one without an `identity`")
        return embedder
    if recorded is None:
        raise CheckpointError(
            "The checkpoint does not say which embedder it was fitted on. Pass it as `embedder`."
        )
    try:
        found = load_embedder(recorded)
    except ConfigurationError as error:
        raise CheckpointError(
            f"The checkpoint was fitted on embedder {recorded!r}, which has to be passed as "
            f"`embedder`: it cannot be made from its name."
        ) from error
    checkpoint.check_embedder(identity_of(found) or "")
    return found
