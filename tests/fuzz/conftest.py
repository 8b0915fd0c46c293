"""Property tests of bad input: short by default, long by `make test ARGS="tests/fuzz --hypothesis-profile=fuzz"`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz", max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
