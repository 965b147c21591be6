"""The name that a cluster gives itself when it is made."""

from __future__ import annotations

import base64

from flymq.env import Env


def make_cluster_id(env: Env) -> str:
    """22 characters of URL-safe base64; never a leading dash, as in Kafka: tools take it for an option."""
    while True:
        made = base64.urlsafe_b64encode(env.random_bytes(16)).decode().rstrip("=")
        if not made.startswith("-"):
            return made
