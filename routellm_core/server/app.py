"""The server as a FastAPI application."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.routing import Route

from routellm_core.controller.config import load_routers
from routellm_core.controller.fleet import Fleet, check_different, expert_table
from routellm_core.errors import RouteLLMError
from routellm_core.server.auth import KeyCheck
from routellm_core.server.chat import ChatEndpoint
from routellm_core.server.drain import Drain
from routellm_core.server.errors import error_body
from routellm_core.server.failures import FailureAnswer
from routellm_core.server.hosts import HostCheck
from routellm_core.server.meters import Meters
from routellm_core.server.origins import CrossOrigin, PageOrigin
from routellm_core.server.outcomes import OutcomesEndpoint
from routellm_core.server.paths import ClientPaths
from routellm_core.server.service import ChatService
from routellm_core.server.settings import ServerSettings
from routellm_core.server.upstream import endpoint_of, reached_by, verifier_endpoint
from routellm_core.strategies.stated import make_strategy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from starlette.requests import Request

    from routellm_core.routers.base import Router
    from routellm_core.server.upstream import Upstream
    from routellm_core.strategies import Strategy

__all__ = ["create_app", "open_upstreams"]


def create_app(
    settings: ServerSettings | None = None,
    *,
    routers: Mapping[str, Router] | None = None,
    upstreams: Mapping[str, Upstream] | None = None,
) -> FastAPI:
    """Return the server, which has read no flag, file or environment variable of its own.

    Parameters
    ----------
    settings
        See `read_settings`; None for the defaults.
    routers
        Loaded routers by the name that requests use, instead of those that the settings name.
    upstreams
        The models by route, "strong" and "weak" or an expert's name, instead of those that the
        settings name.

    Returns
    -------
    The application. `app.state` holds its `service`, `drain`, `meters` and `settings`.

    Raises
    ------
    RouteLLMError
        If a router cannot be loaded, or a setting cannot be used.
    """
    settings = settings or ServerSettings()
    fleet = make_fleet(settings, routers)
    if upstreams is None:
        upstreams = open_upstreams(settings)
    meters = Meters()
    drain = Drain(settings.max_concurrency)
    service = ChatService(
        fleet, upstreams, settings, open_model=_opener(settings), on_decision=meters.decided
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.aclose()

    app = FastAPI(
        title="routellm", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )
    app.state.settings, app.state.service = settings, service
    app.state.drain, app.state.meters = drain, meters
    endpoint = ChatEndpoint(service, settings, drain, meters)
    outcomes = OutcomesEndpoint(service.guards.monitor, settings)
    app.router.routes.append(Route("/v1/chat/completions", endpoint, methods=["POST"]))
    app.router.routes.append(Route("/v1/outcomes", outcomes, methods=["POST"]))
    _add_models(app, fleet)
    _add_status(app, drain, meters)
    if settings.playground:
        from routellm_core.server.playground import mount_playground

        app = mount_playground(app)
    app.add_exception_handler(HTTPException, _http_error)
    _add_guards(app, settings)
    return app


def make_fleet(settings: ServerSettings, routers: Mapping[str, Router] | None = None) -> Fleet:
    """Return the deciders that the settings mean."""
    if routers is None:
        routers = load_routers(settings.routers, config=settings.router_options)
    models = settings.models
    table = expert_table(
        {name: expert.expert for name, expert in models.items()},
        capabilities={name: expert.capabilities for name, expert in models.items()},
    )
    if settings.has_models and settings.strategy is None:  # which may well ask one model twice
        check_different(table, models)
    lengths = {name: expert.answer_tokens for name, expert in models.items()}
    return Fleet(
        routers,
        experts=table,
        threshold=settings.threshold,
        strong_share=settings.strong_share,
        strategy=_strategy(settings),
        routing_text=settings.routing_text,
        router_deadline_s=settings.router_deadline_s,
        answer_tokens={name: n for name, n in lengths.items() if n is not None} or None,
        cache_aware=settings.cache_aware,
    )


def _strategy(settings: ServerSettings) -> Strategy | None:
    if settings.strategy is None:
        return None
    names = ("verifier", "accept", "band", "choose", "limit_s")
    return make_strategy(settings.strategy, {name: getattr(settings, name) for name in names})


def open_upstreams(settings: ServerSettings) -> dict[str, Upstream]:
    """Return every model, or none when the settings name none.

    Raises
    ------
    ConfigurationError
        If an address or a key is missing.
    MissingDependencyError
        If LiteLLM is needed and not installed.
    """
    if not settings.has_models:
        return {}
    return {
        name: _open(endpoint_of(name, settings), expert.upstream)
        for name, expert in reversed(settings.models.items())
    }


def _opener(settings: ServerSettings) -> Callable[[str], Upstream]:
    """Return what opens a model that only a verifier names."""

    def open_model(model: str) -> Upstream:
        return _open(verifier_endpoint(model, settings), "auto")

    return open_model


def _open(endpoint: Any, kind: Any) -> Upstream:
    if reached_by(kind, endpoint) == "openai":
        from routellm_core.server.openai_upstream import OpenAIUpstream

        return OpenAIUpstream(endpoint)
    from routellm_core.server.litellm_upstream import LiteLLMUpstream

    return LiteLLMUpstream(endpoint)


def _add_guards(app: FastAPI, settings: ServerSettings) -> None:
    """Put around the application what each request passes, the innermost first."""
    app.add_middleware(FailureAnswer)
    app.add_middleware(ClientPaths)  # behind the key, which knows paths as they are sent
    app.add_middleware(KeyCheck, key=settings.api_key)
    if settings.playground:
        app.add_middleware(PageOrigin, origins=settings.cors_origins, hosts=settings.allowed_hosts)
    app.add_middleware(HostCheck, settings=settings)
    if settings.cors_origins:
        app.add_middleware(CrossOrigin, origins=settings.cors_origins)


def _add_models(app: FastAPI, fleet: Fleet) -> None:
    created = int(time.time())
    names = [
        *fleet.names(),
        *(f"router-{name}-{_short(d.policy.threshold)}" for name, d in fleet.deciders.items()),
    ]

    def described(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": created, "owned_by": "routellm"}

    @app.get("/v1/models")
    async def list_models() -> JSONResponse:
        return JSONResponse({"object": "list", "data": [described(name) for name in names]})

    @app.get("/v1/models/{name:path}")
    async def retrieve_model(name: str) -> JSONResponse:
        if name not in names:
            try:
                fleet.plan(name)  # more names are served than can be listed
            except RouteLLMError as error:
                raise HTTPException(404, str(error)) from error
        return JSONResponse(described(name))


def _add_status(app: FastAPI, drain: Drain, meters: Meters) -> None:
    @app.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/ready")
    async def ready() -> JSONResponse:
        if drain.draining:
            return JSONResponse({"status": "draining"}, status_code=503)
        return JSONResponse({"status": "ready"})

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(meters.exposition(), media_type=CONTENT_TYPE_LATEST)


def _short(threshold: float) -> str:
    """Return a threshold with enough digits for a model's name."""
    return f"{threshold:.5f}".rstrip("0").rstrip(".")


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    messages = {
        404: "There is no such path. Ask POST /v1/chat/completions; of other endpoints only "
        "/v1/models, /v1/outcomes, /health, /ready and /metrics are served.",
        405: "The path does not take this method.",
    }
    generic = error.detail in ("Not Found", "Method Not Allowed")
    message = messages.get(error.status_code, "") if generic else str(error.detail)
    body = error_body(message, status=error.status_code)
    return Response(body, error.status_code, error.headers, "application/json")
