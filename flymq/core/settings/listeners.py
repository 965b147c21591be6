"""Listener addresses: `NAME://host:port`, as in `listeners` and `advertised.listeners`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flymq.core.settings.setting import SettingError

if TYPE_CHECKING:
    from flymq.core.settings.broker_config import BrokerConfig

_FORM = "write it as PLAINTEXT://host:9092"


class Listener(NamedTuple):
    """One address. An empty host means all interfaces, port 0 any free one."""

    name: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}://{host_port(self.host, self.port)}"


def host_port(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_host_port(setting: str, text: str) -> tuple[str, int]:
    """Read `host:port`, `:port` or `[ipv6]:port`. SettingError, blaming `setting`, for anything else."""
    host, colon, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise SettingError(setting, f'{setting} has "{text}"', "write an IPv6 address as [::1]:9092")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingError(setting, f'{setting} has "{text}"', "write it as host:port, with a port from 0 to 65535")
    return host, int(port)


def parse_listeners(setting: str, addresses: list[str]) -> list[Listener]:
    """Read `NAME://host:port` each. SettingError for another form, or a name that comes twice."""
    listeners: list[Listener] = []
    for text in addresses:
        name, found, address = text.partition("://")
        if not found or not name:
            raise SettingError(setting, f'{setting} has "{text}"', _FORM)
        host, port = parse_host_port(setting, address)
        if any(other.name == name.upper() for other in listeners):
            raise SettingError(setting, f"{setting} has two listeners called {name}", "give each a name of its own")
        listeners.append(Listener(name.upper(), host, port))
    return listeners


def client_listeners(config: BrokerConfig) -> list[Listener]:
    """The listeners of `config`, in order, without Kafka's controller listeners. SettingError where none is left."""
    protocols = _protocols(config)
    listeners = _without_controllers(config, parse_listeners("listeners", config.list("listeners")))
    if not listeners:
        raise _error(config, "listeners", "names no address for clients", "add PLAINTEXT://localhost:9092")
    for listener in listeners:
        protocol = protocols.get(listener.name)
        if protocol is None:
            raise _error(
                config,
                "listeners",
                f"has {listener.name}, whose protocol is not known",
                f"add {listener.name}:PLAINTEXT to listener.security.protocol.map",
            )
        if protocol != "PLAINTEXT":
            raise _error(
                config,
                "listeners",
                f"asks for {protocol} on {listener}",
                "FlyMQ speaks PLAINTEXT only, so far: TLS and SASL are not there yet",
            )
    return listeners


def advertised_addresses(config: BrokerConfig) -> dict[str, tuple[str, int]]:
    """Address told to clients, by listener name; those that aren't listed tell what the client dialled."""
    names = [listener.name for listener in client_listeners(config)]
    addresses = {}
    told = parse_listeners("advertised.listeners", config.get("advertised.listeners") or [])
    for listener in _without_controllers(config, told):
        if listener.name not in names:
            raise _error(
                config,
                "advertised.listeners",
                f"has {listener.name}, which is not among listeners",
                f"it can have {', '.join(names)}",
            )
        if listener.host in ("", "0.0.0.0", "::"):
            raise _error(
                config,
                "advertised.listeners",
                f"has {listener}, where no client can connect",
                "name a host, or remove the setting: clients are then told the address they dialled",
            )
        addresses[listener.name] = listener.host, listener.port
    return addresses


def _without_controllers(config: BrokerConfig, listeners: list[Listener]) -> list[Listener]:
    controllers = {name.upper() for name in config.get("controller.listener.names") or ()}
    return [listener for listener in listeners if listener.name not in controllers]


def _protocols(config: BrokerConfig) -> dict[str, str]:
    """Protocol by listener name, both in capitals."""
    setting = "listener.security.protocol.map"
    protocols = {}
    for pair in config.str(setting).split(","):
        name, colon, protocol = pair.strip().partition(":")
        if not colon:
            raise _error(config, setting, f'has "{pair}"', "write it as NAME:PROTOCOL,NAME:PROTOCOL")
        protocols[name.upper()] = protocol.upper()
    return protocols


def _error(config: BrokerConfig, setting: str, problem: str, hint: str) -> SettingError:
    return SettingError(setting, f"{config.origin(setting)}: {setting} {problem}", hint)
