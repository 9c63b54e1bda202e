"""Results as one page that needs nothing else: no script, no font, no network."""

from routellm_core.evaluation.report.page import render_page, write_page

__all__ = ["render_page", "write_page"]
