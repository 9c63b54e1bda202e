"""What tests of routers and of routed applications need: checks, and parts without a network.

Run every check on a router of your own::

    @pytest.mark.parametrize("check", ROUTER_CHECKS, ids=lambda check: check.__name__)
    def test_my_router_keeps_the_contract(check):
        check(MyRouter())

And those of a strategy: `STRATEGY_CHECKS`, in the same way.

Answer a routed application from this process, with the faults that a test needs::

    with FaultServer() as server:
        server.script(Step(status=429), model="gpt-4o-mini")
        answer = application(base_url=server.base_url)
    assert [request.model for request in server.requests] == ["gpt-4o-mini", "gpt-4o"]
"""

from routellm_core.testing.checks import ROUTER_CHECKS
from routellm_core.testing.openai_answers import Step
from routellm_core.testing.openai_server import FaultServer, OpenAIServer, ReceivedRequest
from routellm_core.testing.parts import HashingEmbedder, ScriptedRouter
from routellm_core.testing.strategy_checks import STRATEGY_CHECKS

__all__ = [
    "ROUTER_CHECKS",
    "STRATEGY_CHECKS",
    "FaultServer",
    "HashingEmbedder",
    "OpenAIServer",
    "ReceivedRequest",
    "ScriptedRouter",
    "Step",
]
