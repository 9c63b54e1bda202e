"""The recipe of the bundled router: `python -m routellm_core.training.bundled`."""
