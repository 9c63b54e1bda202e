"""What routing would have cost and kept: metrics, benchmarks, reports and their checks."""

__all__: list[str] = []
