"""How the client reaches a cluster: the settings of kafka-python, and making its clients from them.

kafka-python is imported when the first `Connection` is made (0.3 s), and nowhere before.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from flymq.client.addresses import Address, parse_addresses
from flymq.client.errors import ClosedError, InvalidArgumentError, did_you_mean, translate
from flymq.client.kafka_python import close_sockets, direct_url, kafka
from flymq.client.probe import prepare, probe

# kafka-python waits 100 ms before it asks again for a topic that was just created; asking costs us well under one.
METADATA_RETRY_MS = 2
_MAX_IDLE_MS = 9 * 60 * 1000
# What kafka-python's clients raise for a setting that they know and can't use.
_OF_A_BAD_SETTING = (AssertionError, TypeError, ValueError)
# All threads share one admin client, and kafka-python refuses what is beyond this: by default, the sixth request.
_IN_FLIGHT = "max_in_flight_requests_per_connection"
_ADMIN_IN_FLIGHT_MAX = 1000


class Connection:
    """Where a cluster is and how to talk to it. Makes kafka-python's clients; keeps one admin client for all.

    Thread-safe. Nothing is connected before it is asked for. `timeout` and `connect_timeout` are in seconds.
    `sasl` is (mechanism, user name, password); `tls` True, the file of an authority, or an SSLContext. `extra` are
    settings of kafka-python by its names; each goes to those of its clients that know it.
    Raises `InvalidArgumentError` for what is wrong wherever the broker is.
    """

    def __init__(
        self,
        bootstrap_servers: str | Iterable[str],
        *,
        client_id: str,
        timeout: float,
        connect_timeout: float,
        auto_create_topics: bool,
        sasl: tuple[str, str, str] | None,
        tls: bool | str | os.PathLike[str] | ssl.SSLContext | None,
        extra: Mapping[str, Any],
    ) -> None:
        for name, seconds in (("timeout", timeout), ("connect_timeout", connect_timeout)):
            if not isinstance(seconds, int | float) or not 0 < seconds < _MAX_IDLE_MS / 1000:
                raise InvalidArgumentError(
                    f"{name} is {seconds!r}", hint=f"give seconds, above 0 and below {_MAX_IDLE_MS // 1000}"
                )
        kafka()  # now: whoever makes a client means to use it, and the first message should not pay for the import
        prepare()
        self.addresses: list[Address] = parse_addresses(bootstrap_servers)
        self.client_id = client_id
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.auto_create_topics = auto_create_topics
        self._tls = _context(tls)
        self._sasl = _credentials(sasl)
        self._extra = dict(extra)
        self._common = self._common_settings()
        if extra:
            self._check_names()
        self._lock = threading.RLock()
        self._reached: Address | None = None
        self._closed = False
        self._admin: Any = None

    # -- settings ---------------------------------------------------------------------------------

    def _common_settings(self) -> dict[str, Any]:
        secure = "SASL_SSL" if self._sasl and self._tls else "SASL_PLAINTEXT" if self._sasl else "SSL"
        settings: dict[str, Any] = {
            "bootstrap_servers": [str(address) for address in self.addresses],
            "client_id": self.client_id,
            "request_timeout_ms": int(self.timeout * 1000),
            "bootstrap_timeout_ms": int(self.connect_timeout * 1000),
            "connections_max_idle_ms": _MAX_IDLE_MS,
            "metrics_enabled": False,
        }
        if self._sasl or self._tls:
            settings["security_protocol"] = secure
        if self._tls:
            settings["ssl_context"] = self._tls
        if self._sasl:
            mechanism, user, password = self._sasl
            settings |= {
                "sasl_mechanism": mechanism,
                "sasl_plain_username": user,
                "sasl_plain_password": password,
            }
        return settings

    def _check_names(self) -> None:
        module = kafka()
        kinds = (module.KafkaConsumer, module.KafkaProducer, module.KafkaAdminClient)
        known = set().union(*(kind.DEFAULT_CONFIG for kind in kinds))
        for name in self._extra:
            _check_name(name, known)

    def _net_client(self, **settings: Any) -> Any:
        """kafka-python's hook for the network part: the settings that it does not hand through.

        One is how long a connection may take that breaks later on and is made again: without it, 10 to 30 s.
        """
        from kafka.net.compat import KafkaNetClient

        setup_ms = int(min(self.timeout, self.connect_timeout) * 1000)
        settings |= {
            "socket_connection_setup_timeout_ms": setup_ms,
            "socket_connection_setup_timeout_max_ms": setup_ms,
        }
        if settings.get("proxy_url") is None and settings.get("socks5_proxy") is None:
            settings["proxy_url"] = direct_url()
        client = KafkaNetClient(**settings)
        close_sockets(client)
        client.cluster.config["retry_backoff_ms"] = METADATA_RETRY_MS
        client.cluster.config["allow_auto_create_topics"] = settings.get("allow_auto_create_topics", False)
        return client

    def _settings(self, kind: Any, overrides: Mapping[str, Any]) -> dict[str, Any]:
        for name in overrides:
            _check_name(name, kind.DEFAULT_CONFIG)
        merged = {**self._common, **self._extra}
        return {name: value for name, value in merged.items() if name in kind.DEFAULT_CONFIG} | dict(overrides)

    # -- clients ----------------------------------------------------------------------------------

    def reach(self) -> bool:
        """Return if a broker answers at one of the addresses, within `connect_timeout`; whether it was asked now. It is
        asked only once.

        Raises `BrokerUnavailableError`, `AuthenticationError`, `ClosedError`.
        """
        with self._lock:
            if self._closed:
                raise ClosedError("the client is closed")
            if self._reached is not None:
                return False
            self._reached = probe(self.addresses, self.connect_timeout, self._tls, sasl=self._sasl is not None)
            return True

    def check(self, within: float) -> None:
        """Return if a broker answers now, however it was before. Raises as `reach` does, after `within` seconds."""
        if self._closed:
            raise ClosedError("the client is closed")
        probe(self.addresses, within, self._tls, sasl=self._sasl is not None)

    def consumer(self, *, auto_create_topics: bool = False, **settings: Any) -> Any:
        """A new `KafkaConsumer` that never commits by itself; subscribed to nothing."""
        kind = kafka().KafkaConsumer
        settings.setdefault("allow_auto_create_topics", auto_create_topics)
        return self._make(kind, {"enable_auto_commit": False, **settings})

    def producer(self, **settings: Any) -> Any:
        """A new `KafkaProducer`."""
        kind = kafka().KafkaProducer
        settings.setdefault("allow_auto_create_topics", self.auto_create_topics)
        settings.setdefault("max_block_ms", int(self.timeout * 1000))
        return self._make(kind, settings)

    def admin(self) -> Any:
        """The `KafkaAdminClient`: one for all, closed with the connection."""
        with self._lock:
            if self._admin is None:
                settings = {} if _IN_FLIGHT in self._extra else {_IN_FLIGHT: _ADMIN_IN_FLIGHT_MAX}
                self._admin = self._make(kafka().KafkaAdminClient, settings)
            return self._admin

    def _make(self, kind: Any, overrides: Mapping[str, Any]) -> Any:
        settings = self._settings(kind, overrides)
        asked_now = self.reach()
        # Of several, kafka-python takes any, for all the time there is.
        settings["bootstrap_servers"] = [str(self._reached or self.addresses[0])]
        made: list[Any] = []

        def net_client(**configs: Any) -> Any:
            made.append(settings.get("kafka_client", self._net_client)(**configs))
            return made[0]

        try:
            return kind(**{**settings, "kafka_client": net_client})
        except Exception as error:
            for client in made:  # kafka-python forgets about it
                client.close()
            if isinstance(error, _OF_A_BAD_SETTING):
                raise InvalidArgumentError(f"{kind.__name__} does not take these settings: {error}") from error
            self._reached = None
            if not asked_now:  # whoever answered then may be away now: look again, and say so
                return self._make(kind, overrides)
            raise translate(error, f"connect to {', '.join(map(str, self.addresses))}") from error

    def close(self) -> None:
        """Close the admin client. Consumers and producers are closed by who asked for them."""
        with self._lock:
            self._closed = True
            admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()


def _check_name(name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise InvalidArgumentError(
            f"there is no setting {name}", hint=did_you_mean(name, known) or "settings are kafka-python's"
        )


def _credentials(sasl: tuple[str, str, str] | None) -> tuple[str, str, str] | None:
    if sasl is None:
        return None
    if not isinstance(sasl, tuple | list) or len(sasl) != 3 or not all(isinstance(part, str) for part in sasl):
        raise InvalidArgumentError(
            "sasl is not three strs", hint='give (mechanism, user, password), such as ("PLAIN", "ada", "...")'
        )
    from kafka.net.sasl import SASL_MECHANISMS

    mechanism, user, password = sasl
    if mechanism not in SASL_MECHANISMS:
        hint = did_you_mean(mechanism.upper(), SASL_MECHANISMS) or f"it is one of {', '.join(SASL_MECHANISMS)}"
        raise InvalidArgumentError(f"sasl: there is no mechanism {mechanism}", hint=hint)
    return mechanism, user, password


def _context(tls: bool | str | os.PathLike[str] | ssl.SSLContext | None) -> ssl.SSLContext | None:
    if not tls:
        return None
    if isinstance(tls, ssl.SSLContext):
        return tls
    try:
        return ssl.create_default_context(cafile=None if tls is True else os.fspath(tls))
    except (OSError, TypeError) as error:
        raise InvalidArgumentError(f"tls: can't read {tls}: {error}", hint="give a PEM file of certificates") from None
