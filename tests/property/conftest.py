"""Hypothesis without a deadline: a slow machine is no fault of the book's."""

from hypothesis import HealthCheck, settings

settings.register_profile("l3book", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("l3book")
