"""`routellm serve` and `routellm playground`: the OpenAI-compatible server, and its page."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import typer

from routellm_core.cli.console import notes

__all__ = ["playground", "serve"]

Routers: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--routers",
        "-r",
        metavar="NAME",
        help="Routers to load: names, checkpoints' folders, 'owner/name' on the Hugging Face Hub, "
        "or NAME=CHECKPOINT; several may follow. The first answers to the model name 'auto'. By "
        "default 'mf'.",
    ),
]
MoreRouters: TypeAlias = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Further routers.", hidden=True)
]
Config: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Settings in YAML, or RouteLLM's file with options by router."
    ),
]
StrongModel: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--strong-model", "--strong", metavar="NAME", help="The strong model, as LiteLLM names it."
    ),
]
WeakModel: TypeAlias = Annotated[
    str | None,
    typer.Option("--weak-model", "--weak", metavar="NAME", help="The weak model."),
]
BaseUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Where both models are; without it, their providers'."),
]
ApiKey: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="The provider's key for both models. Others on this machine can see it among the "
        "processes: prefer ROUTELLM_UPSTREAM_API_KEY, or the provider's own variable.",
    ),
]
StrongBaseUrl: TypeAlias = Annotated[
    str | None, typer.Option(metavar="URL", help="Where the strong model is.")
]
StrongApiKey: TypeAlias = Annotated[
    str | None, typer.Option(metavar="KEY", help="The strong model's provider's key.")
]
WeakBaseUrl: TypeAlias = Annotated[
    str | None, typer.Option(metavar="URL", help="Where the weak model is.")
]
WeakApiKey: TypeAlias = Annotated[
    str | None, typer.Option(metavar="KEY", help="The weak model's provider's key.")
]
Threshold: TypeAlias = Annotated[
    float | None,
    typer.Option("--threshold", "-t", metavar="RATE", help="What 'auto' uses, from 0 to 1."),
]
StrongShare: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--strong-share",
        "-s",
        metavar="SHARE",
        help="About this share of typical calls goes to the strong model under 'auto', instead "
        "of a threshold. Without either: 0.5.",
    ),
]
Host: TypeAlias = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Where to listen; by default 127.0.0.1.")
]
Port: TypeAlias = Annotated[
    int | None, typer.Option("--port", "-p", metavar="PORT", help="By default 6060; 0 takes any.")
]
Workers: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="Processes that serve; by default 1.")
]
AllowedHosts: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Names in requests' Host header besides localhost, separated by commas; '*' for any. "
        "By default any, but for a server on this machine that asks for no key.",
    ),
]
CorsOrigins: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="ORIGINS",
        help="Origins whose web pages may call from a browser, as 'https://app.example.com', "
        "separated by commas; '*' for any. By default none.",
    ),
]
Page: TypeAlias = Annotated[
    bool, typer.Option("--playground", help="Serve the page at /playground, too.")
]
Insecure: TypeAlias = Annotated[
    bool,
    typer.Option("--insecure", help="Listen beyond this machine without asking clients for a key."),
]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", help="Log every request's decision; never its words.")
]


def serve(
    more_routers: MoreRouters = None,
    *,
    routers: Routers = None,
    config: Config = None,
    strong_model: StrongModel = None,
    weak_model: WeakModel = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    strong_base_url: StrongBaseUrl = None,
    strong_api_key: StrongApiKey = None,
    weak_base_url: WeakBaseUrl = None,
    weak_api_key: WeakApiKey = None,
    threshold: Threshold = None,
    strong_share: StrongShare = None,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    allowed_hosts: AllowedHosts = None,
    cors_origins: CorsOrigins = None,
    playground: Page = False,
    insecure: Insecure = False,
    verbose: Verbose = False,
) -> None:
    """Serve both models behind one OpenAI-compatible address.

    Clients ask for the model `auto`, `router-NAME-THRESHOLD`, `router-NAME-share-PERCENT`, or one
    of the two models by its name. They must send the key in ROUTELLM_API_KEY, if it is set. Every
    setting can also come from the environment, as ROUTELLM_STRONG_MODEL and so on, or from YAML.
    """
    settings = {
        "routers": [*(routers or []), *(more_routers or [])] or None,
        "strong_model": strong_model,
        "weak_model": weak_model,
        "base_url": base_url,
        "upstream_api_key": api_key,
        "strong_base_url": strong_base_url,
        "strong_api_key": strong_api_key,
        "weak_base_url": weak_base_url,
        "weak_api_key": weak_api_key,
        "threshold": threshold,
        "strong_share": strong_share,
        "host": host,
        "port": port,
        "workers": workers or None,  # RouteLLM's 0 is one process, too
        "allowed_hosts": allowed_hosts,
        "cors_origins": cors_origins,
        "playground": playground or None,
        "insecure": insecure or None,
    }
    _serve(settings, config=config, verbose=verbose)


def playground(
    more_routers: MoreRouters = None,
    *,
    routers: Routers = None,
    config: Config = None,
    strong_model: StrongModel = None,
    weak_model: WeakModel = None,
    base_url: BaseUrl = None,
    threshold: Threshold = None,
    strong_share: StrongShare = None,
    host: Host = None,
    port: Port = None,
) -> None:
    """Open a page that shows where a prompt goes, and why.

    It needs no key and no model: it decides. With models it answers, too. It is `routellm serve
    --playground`, which takes more options.
    """
    settings = {
        "routers": [*(routers or []), *(more_routers or [])] or None,
        "strong_model": strong_model,
        "weak_model": weak_model,
        "base_url": base_url,
        "threshold": threshold,
        "strong_share": strong_share,
        "host": host,
        "port": port,
        "playground": True,
    }
    _serve(settings, config=config, verbose=False)


def _serve(settings: dict[str, Any], *, config: str | None, verbose: bool) -> None:
    from routellm_core._optional import require

    read_settings = require("routellm_core.server.settings", extra="server").read_settings
    read = read_settings(settings, config=config)
    run = require("routellm_core.server.run", extra="server").serve
    if verbose:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    run(read, on_listening=lambda url: _announce(url, read))


def _announce(url: str, settings: Any) -> None:
    *others, last = [expert.model for expert in reversed(settings.models.values())]
    models = f"{', '.join(others)} and {last}" if others else last
    what = models if settings.has_models else "decisions only: no models are set"
    lines = [f"Serving {what} at {url}/v1, routed by {', '.join(settings.routers)}."]
    if settings.playground:
        lines.append(f"Playground: {url}/playground")
    if settings.api_key is None:
        lines.append("No key is asked of clients: ROUTELLM_API_KEY is not set.")
    for line in lines:
        notes().print(line, markup=False, soft_wrap=True)
