"""The options that several commands share, and the decider that they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from routellm_core.policy import Decider
    from routellm_core.routers import Router

__all__ = [
    "CheckpointOption",
    "RouterOption",
    "StrongModelOption",
    "StrongShareOption",
    "ThresholdOption",
    "WeakModelOption",
    "open_decider",
    "open_router",
]

DEFAULT_ROUTER = "mf"

RouterOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--router",
        "-r",
        metavar="NAME",
        help="Which router scores: a name that `routellm routers` lists, a checkpoint's folder, "
        "'owner/name' on the Hugging Face Hub, or NAME=CHECKPOINT. By default the checkpoint's, "
        f"or {DEFAULT_ROUTER!r}.",
        show_default=False,
    ),
]
CheckpointOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="A trained router of your own instead of the bundled one."),
]
StrongModelOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The strong model that the router is to have in mind."),
]
WeakModelOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The weak model that the router is to have in mind."),
]
ThresholdOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        "-t",
        metavar="RATE",
        help="Win rates from this one on go to the strong model: 0 sends all, 1 hardly any.",
    ),
]
StrongShareOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--strong-share",
        "-s",
        metavar="SHARE",
        help="About this share of typical prompts goes to the strong model, instead of a "
        "threshold. Without either: 0.5.",
    ),
]


def open_router(
    name: str | None,
    *,
    checkpoint: str | None = None,
    strong_model: str | None = None,
    weak_model: str | None = None,
) -> Router:
    """Return the router that the options mean.

    Raises
    ------
    RouteLLMError
        If there is no such router, checkpoint or model.
    """
    from routellm_core.routers import checkpoint_router, load_router

    options = {"strong_model": strong_model, "weak_model": weak_model}
    given = {key: value for key, value in options.items() if value is not None}
    if name is None:
        name = DEFAULT_ROUTER if checkpoint is None else checkpoint_router(checkpoint)
    return load_router(name, checkpoint=checkpoint, **given)


def open_decider(
    router: Router, *, threshold: float | None = None, strong_share: float | None = None
) -> Decider:
    """Return the decider that the options mean, for the router's own pair of models.

    Raises
    ------
    ConfigurationError
        If both are given, or one has a wrong value, or a share meets an uncalibrated router.
    """
    from routellm_core.policy import make_decider

    pair = router.pair
    return make_decider(
        router=router,
        threshold=threshold,
        strong_share=strong_share,
        strong_model=pair.strong if pair else "strong",
        weak_model=pair.weak if pair else "weak",
    )
