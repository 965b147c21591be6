"""Well-formed requests of hostile values, of every API in every version: no handler fails, none holds up the rest."""

from __future__ import annotations

import logging
import random

import pytest

from flymq import EmbeddedBroker
from flymq.broker.handlers import HANDLERS
from flymq_protocol.api.k18_api_versions import ApiVersionsRequest

from .client import TIMEOUT_S, Client
from .hostile import Hostile
from .kit import a_topic

PAIRS = [(row.key, version) for row in HANDLERS.values() for version in range(row.min_version, row.max_version + 1)]
MAY_WAIT = (0, 1, 11, 14)  # Produce (which acks=0 leaves unanswered), Fetch, JoinGroup, SyncGroup: not waited for
EACH = 12


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_handler_fails(caplog: pytest.LogCaptureFixture, seed: int) -> None:
    with EmbeddedBroker() as broker, Client(broker.port) as steady:
        topics = [a_topic(steady, 3), a_topic(steady, 1, cleanup_policy="compact")]
        names = [*(topic.name for topic in topics), "one", "two", "range", "consumer"]
        hostile = Hostile(seed, names, [topic.id for topic in topics])
        pairs = PAIRS * EACH
        random.Random(seed).shuffle(pairs)
        for key, version in pairs:
            request = hostile.request(key, version)
            with Client(broker.port) as client:
                client.send(request, version)
                if key not in MAY_WAIT:
                    hostile.know(client.receive())
            assert [record for record in caplog.records if record.levelno >= logging.WARNING] == [], (request, version)
        assert steady.call(ApiVersionsRequest(), 0).api_keys, f"nothing took {TIMEOUT_S} s"
