"""Objects that the tests apply: small, fast to start and quick to notice trouble."""

from __future__ import annotations

from typing import Any

Body = dict[str, Any]

FAST = 4000
"""Tokens per second at which a benchmark takes no time worth mentioning."""

HEALTH = {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 2, "startupGraceSeconds": 30}
RESOURCES = {"cpu": "500m", "memory": "256Mi", "storage": "512Mi"}


def workload(namespace: str, name: str, image: str, **spec: Any) -> Body:
    """Return an InferenceWorkload of the synthetic model; ``spec`` overrides fields."""
    return {
        "apiVersion": "garrison.dev/v1alpha1",
        "kind": "InferenceWorkload",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "image": image,
            "port": 8080,
            "resources": RESOURCES,
            "env": environment(),
            "health": HEALTH,
            "traffic": {"drainSeconds": 0},
            "trust": "Unverified",
            **spec,
        },
    }


def environment(**more: str) -> list[dict[str, str]]:
    """Return a synthetic model's settings, fast unless told otherwise."""
    settings = {"SYNTHETIC_TOKENS_PER_SECOND": str(FAST), "SYNTHETIC_TTFT_MS": "5", **more}
    return [{"name": name, "value": value} for name, value in settings.items()]


def condition(body: Body, type_: str) -> Body:
    """Return a condition of an object; an empty one when the object does not have it."""
    found = (body.get("status") or {}).get("conditions") or []
    return next((each for each in found if each["type"] == type_), {})


def is_true(body: Body, type_: str) -> bool:
    """Return whether a condition holds for the newest generation."""
    found = condition(body, type_)
    fresh = found.get("observedGeneration") == body["metadata"]["generation"]
    return bool(fresh and found["status"] == "True")
