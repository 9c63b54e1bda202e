"""Keep warnings about other libraries' own code from failing a routed call."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

__all__ = ["THIRD_PARTY_WARNINGS", "ignore_third_party_warnings"]

THIRD_PARTY_WARNINGS: Sequence[tuple[str, type[Warning], str]] = (
    # LiteLLM builds the schemas of its typed dictionaries during the first call that needs them.
    # Raised there, the warning leaves the schema unbuilt and ends every stream, which LiteLLM
    # reports as a failure of the provider.
    (
        r"\A(Items? .*|Extra items) on TypedDict class .* using the `ReadOnly` qualifier",
        UserWarning,
        r"pydantic\._internal\._generate_schema",
    ),
    # LiteLLM reads every attribute of a chunk, those that pydantic has deprecated among them.
    (
        r"Accessing the 'model_(computed_)?fields' attribute on the instance is deprecated",
        DeprecationWarning,
        r"litellm\.",
    ),
)
"""Message, category and module of each warning.

The first cannot be told by its module from the same warning about a `TypedDict` of the user's own,
which is then ignored as well: pydantic names itself as the place of both.
"""

_entries: list[Any] = [
    ("ignore", re.compile(message, re.IGNORECASE), category, re.compile(module), 0)
    for message, category, module in THIRD_PARTY_WARNINGS
]


def ignore_third_party_warnings() -> None:
    """Put the filters of `THIRD_PARTY_WARNINGS` first, where they are not first already.

    With Python's `-W error` such a warning would raise inside the other library's call. The
    filters stay: `warnings.catch_warnings` around a call would reset what other threads set.
    Test runners reset filters between tests, so this is asked at each call; it then costs one
    comparison.

    Examples
    --------
    >>> ignore_third_party_warnings()
    >>> import warnings
    >>> warnings.filters[0][0]
    'ignore'
    """
    if list(warnings.filters[: len(_entries)]) == _entries:
        return
    for message, category, module in THIRD_PARTY_WARNINGS[::-1]:
        warnings.filterwarnings("ignore", message=message, category=category, module=module)
