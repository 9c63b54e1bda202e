"""Every deliberate error of the project.

::

    RouteLLMError
    ├── ConfigurationError (ValueError)      an argument or setting is wrong
    │   ├── UnknownRouterError (LookupError) no router has that name
    │   └── UnknownModelError (LookupError)  the router does not know that model
    ├── PromptError (TypeError)              what was passed is not a prompt
    ├── CheckpointError (ValueError)         a checkpoint is damaged, foreign or unsafe
    │   └── CheckpointNotFoundError (FileNotFoundError)
    ├── DataError (ValueError)               battles or outcomes cannot be read
    ├── RouterError (RuntimeError)           a router broke its contract
    ├── BudgetExceededError (RuntimeError)   a budget is spent, and refuses
    ├── CircuitOpenError (RuntimeError)      a model failed so often that it is not asked
    ├── EmptyAnswerError (RuntimeError)      a model's answer holds nothing to use
    ├── VerifierError (RuntimeError)         an answer could not be scored
    └── MissingDependencyError (ImportError) an extra is not installed
"""

__all__ = [
    "BudgetExceededError",
    "CheckpointError",
    "CheckpointNotFoundError",
    "CircuitOpenError",
    "ConfigurationError",
    "DataError",
    "EmptyAnswerError",
    "MissingDependencyError",
    "PromptError",
    "RouteLLMError",
    "RouterError",
    "UnknownModelError",
    "UnknownRouterError",
    "VerifierError",
    "did_you_mean",
]


class RouteLLMError(Exception):
    """Be the one class that catches every deliberate error of this project."""


class ConfigurationError(RouteLLMError, ValueError):
    """Report an argument or a setting that cannot be used."""


class UnknownRouterError(ConfigurationError, LookupError):
    """Report a router name that nobody registered."""


class UnknownModelError(ConfigurationError, LookupError):
    """Report a model that the router was not fitted for."""


class PromptError(RouteLLMError, TypeError):
    """Report a value that is not a prompt, or not a sequence of prompts."""


class CheckpointError(RouteLLMError, ValueError):
    """Report a checkpoint that is damaged, of another format, or unsafe to read."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """Report a checkpoint, or one of its files, that is not there."""


class DataError(RouteLLMError, ValueError):
    """Report battles, outcomes or prompts that cannot be read, or one bad row of them."""


class RouterError(RouteLLMError, RuntimeError):
    """Report a router whose win rates are not n finite numbers in [0, 1]."""


class BudgetExceededError(RouteLLMError, RuntimeError):
    """Report a call that a spent budget refuses."""


class CircuitOpenError(RouteLLMError, RuntimeError):
    """Report that every model for a call failed repeatedly and is not asked for a while."""


class EmptyAnswerError(RouteLLMError, RuntimeError):
    """Report an answer that holds nothing to use, or a stream that ended before its content."""


class VerifierError(RouteLLMError, RuntimeError):
    """Report an answer that a verifier could not score."""


class MissingDependencyError(RouteLLMError, ImportError):
    """Report an optional library that is not installed, and the extra that brings it."""


def did_you_mean(name: str, known: list[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest of the known names, or "" when none is near.

    Examples
    --------
    >>> did_you_mean("rnadom", ["mf", "random"])
    " Did you mean 'random'?"
    """
    from difflib import get_close_matches

    # Case and blanks are the commonest slips, and difflib takes 'BIG' and 'big' for strangers.
    folded = {each.strip().casefold(): each for each in known}
    near = get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.5)
    return f" Did you mean {folded[near[0]]!r}?" if near else ""
