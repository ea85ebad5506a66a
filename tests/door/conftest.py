"""What the wire's tests have is good for the door too."""

from tests.wire.conftest import complaints, material, run

__all__ = ["complaints", "material", "run"]
