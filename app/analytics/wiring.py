"""The door to figures."""

from app.analytics.infrastructure.reads import Figures

__all__ = ["Figures"]
