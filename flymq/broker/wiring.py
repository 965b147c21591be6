"""Puts a broker's parts together. The one place that knows all of them."""

from __future__ import annotations

from collections.abc import Callable

from flymq.broker.context import RequestContext, Services
from flymq.broker.dispatch import Dispatcher
from flymq.broker.net.server import Server
from flymq.core.catalog import Topic
from flymq.core.settings import BrokerConfig
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

_OTHER_FILES = 64  # listeners, SQLite's, the interpreter's


def open_engine(env: Env, config: BrokerConfig, data_dir: str | None) -> Engine:
    """Files in `data_dir`, or memory where it is None. Raises `EngineError`."""
    if data_dir is None:
        from flymq.storage.memory import MemoryEngine

        return MemoryEngine(env)
    from flymq.storage.files import FilesEngine

    return FilesEngine(
        data_dir,
        env,
        node_id=config.int("node.id"),
        durability="fsync" if config.str("flymq.durability") == "fsync" else "os",
        unflushed_bytes_max=config.int("flymq.unflushed.bytes.max"),
        disk_free_min=config.int("flymq.disk.free.min"),
        open_files_max=_open_files_max(env, config),
        index_interval_bytes=config.int("log.index.interval.bytes"),
    )


def _open_files_max(env: Env, config: BrokerConfig) -> int:
    """Log files kept open: what is asked for, but half of what the process may open is for connections."""
    return min(config.int("flymq.open.files.max"), env.files.open_files_limit() // 2)


def wire(env: Env, config: BrokerConfig, engine: Engine, on_fatal: Callable[[BaseException], None]) -> Services:
    """All services over an engine, nothing loaded yet."""
    services = Services()
    services.env = env
    services.config = config
    services.cluster_id = engine.cluster_id
    services.placement = Placement(config.int("node.id"), engine.cluster_id, config)
    services.partitions = Partitions(env, engine.logs, config.int("producer.id.expiration.ms"))
    services.settings = Settings(engine.shards, config)
    services.engine = engine
    services.validation = Validation(
        env, services.partitions, config.int("flymq.inflate.bytes.max"), config.int("flymq.unflushed.bytes.max")
    )
    services.topics = Topics(env, engine.shards, services.partitions, config)
    services.groups = Groups(env, engine.shards, config, on_fatal)
    services.topics.on_deleted.append(lambda topic: services.groups.topic_deleted(topic.id))
    services.compaction = Compaction(env, services.partitions, config)
    services.topics.on_changed.append(lambda topic: _tell_groups(services.groups, topic))
    services.producer_ids = ProducerIds(engine.shards)
    services.retention = Retention(env, services.partitions, config.int("log.retention.check.interval.ms"))
    services.transactions = Transactions(
        env, engine.shards, services.partitions, services.groups, services.producer_ids, config, on_fatal
    )
    services.features = Features(engine.shards)
    services.fetch_sessions = FetchSessions(env, config.int("max.incremental.fetch.session.cache.slots"))
    services.settings.on_group_changed.append(services.groups.consumer_settings.configure)
    config.on_changed.append(services.topics.defaults_changed)
    config.on_changed.append(lambda _: _follow(services))
    return services


def _follow(services: Services) -> None:
    """Tell those that copied a setting at their start. Who reads `config` at each use need not be told."""
    services.partitions.producer_expiration_ms = services.config.int("producer.id.expiration.ms")
    services.groups.settings_changed(services.config)


def _tell_groups(groups: Groups, topic: Topic) -> None:
    if not topic.is_internal:  # nobody can read those
        groups.topic_changed(topic.name, topic.id, topic.partition_count)


def make_server(
    services: Services, on_request: Callable[[str, RequestContext], None] | None = None
) -> Server:
    """A server that speaks for `services`; it does not listen yet."""
    config = services.config

    def connections_max() -> int:
        limit = services.env.files.open_files_limit() - _open_files_max(services.env, config) - _OTHER_FILES
        return min(config.int("max.connections"), limit)

    server = Server(
        services.env,
        Dispatcher(services, on_request),
        services.partitions,
        request_bytes_max=config.int("socket.request.max.bytes"),
        slots_max=config.int("flymq.connection.inflight.max"),
        idle_ms_max=config.int("connections.max.idle.ms"),
        send_buffer_bytes=config.int("socket.send.buffer.bytes"),
    )

    def follow(_: frozenset[str]) -> None:
        server.connections_max = connections_max()
        server.connections_per_host_max = config.int("max.connections.per.ip")

    follow(frozenset())
    config.on_changed.append(follow)
    return server
