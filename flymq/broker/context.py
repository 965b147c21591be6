"""What a handler is given besides its request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flymq.broker.config import BrokerConfig
    from flymq.env import Env
    from flymq.runtime.compaction import Compaction
    from flymq.runtime.features import Features
    from flymq.runtime.fetch_sessions import FetchSessions
    from flymq.runtime.groups import Groups
    from flymq.runtime.partitions import Partitions
    from flymq.runtime.placement import Placement
    from flymq.runtime.producer_ids import ProducerIds
    from flymq.runtime.retention import Retention
    from flymq.runtime.settings import Settings
    from flymq.runtime.topics import Topics
    from flymq.runtime.transactions import Transactions
    from flymq.runtime.validating import Validation
    from flymq.storage.api import Engine


class RequestContext:
    """Who asks, and in which version. Requests of one connection share it: all but the correlation id."""

    __slots__ = ("api_key", "api_version", "client_host", "client_id", "local_address")

    def __init__(
        self,
        api_key: int,
        api_version: int,
        client_id: str | None,
        client_host: str,
        local_address: tuple[str, int],
    ) -> None:
        self.api_key = api_key
        self.api_version = api_version
        self.client_id = client_id
        self.client_host = client_host  # the peer's IP address
        self.local_address = local_address  # (host, port) that this connection dialled


class Services:
    """The broker's parts, as handlers see them. Wired once, in `flymq.broker.wiring`."""

    __slots__ = ("cluster_id", "compaction", "config", "engine", "env", "features", "fetch_sessions", "groups",
                 "partitions", "placement", "producer_ids", "retention", "settings", "topics", "transactions",
                 "validation")

    cluster_id: str
    compaction: Compaction
    config: BrokerConfig
    engine: Engine
    env: Env
    features: Features
    fetch_sessions: FetchSessions
    groups: Groups
    partitions: Partitions
    placement: Placement
    producer_ids: ProducerIds
    retention: Retention
    settings: Settings
    topics: Topics
    transactions: Transactions
    validation: Validation
