"""Makes the stack fixture known to the system tests."""

from tests.system.stack import stack_factory

__all__ = ["stack_factory"]
