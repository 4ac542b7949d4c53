"""The engine: everything between a task and a provider. It knows no provider by name."""

from worker.application import app

__all__ = ["app"]
