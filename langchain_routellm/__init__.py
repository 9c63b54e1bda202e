"""Cost-aware routing as a drop-in model."""

__all__: list[str] = []
