"""What one run of the command was told: where the broker is, how to print. Every command gets it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from flymq_cli.errors import HintedUsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flymq.client.client import FlyMQClient

DEFAULT_SERVERS = "localhost:9092"
SERVERS_VARIABLES = ("FLYMQ_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS")
_DEFAULT_TIMEOUT_S = 30.0
# A dead address is told within 5.5 s, the interpreter's start included.
_CONNECT_TIMEOUT_S = 4.5


class App:
    """The global options as given, before or after the command; `client()` is a client made of them."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        """Name of a global option -> value, only those that were given."""
        self.extra: dict[str, Any] = {}
        """-X: settings of kafka-python."""
        self._password: str | None = None

    # -- what to print ----------------------------------------------------------------------------

    @property
    def output(self) -> str:
        """table, json, yaml or name."""
        return str(self.given.get("output", "table"))

    @property
    def quiet(self) -> bool:
        return bool(self.given.get("quiet"))

    @property
    def verbosity(self) -> int:
        return int(self.given.get("verbose", 0))

    @property
    def debug(self) -> bool:
        return bool(self.given.get("debug"))

    @property
    def colorless(self) -> bool:
        """Whether somebody is against colours."""
        return bool(self.given.get("no_color") or os.environ.get("NO_COLOR"))

    @property
    def color(self) -> bool:
        """Whether stdout may be coloured: a terminal, and nobody is against it."""
        return sys.stdout.isatty() and not self.colorless

    def say(self, text: str) -> None:
        """To whoever runs the command, not to what reads its output."""
        if not self.quiet:
            click.echo(text, err=True)

    # -- where the broker is ----------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """The options that say how to connect: those given, over the current context's."""
        from flymq_cli.contexts import current

        return {**current(self.given.get("context")), **self.given}

    def servers(self) -> str:
        """-b, else the environment, else the context, else localhost:9092."""
        if "bootstrap_servers" in self.given:
            return str(self.given["bootstrap_servers"])
        if "context" not in self.given:
            for variable in SERVERS_VARIABLES:
                if os.environ.get(variable):
                    return os.environ[variable]
        return str(self.settings().get("bootstrap_servers", DEFAULT_SERVERS))

    def timeout(self) -> float:
        """Seconds for a request."""
        return float(self.settings().get("timeout", _DEFAULT_TIMEOUT_S))

    @contextlib.contextmanager
    def client(self, servers: str | None = None, *, auto_create_topics: bool = False) -> Iterator[FlyMQClient]:
        """A client at `servers`, or at those of the options; closed in the end."""
        from flymq_cli.logs import logging_to_stderr

        settings = self.settings()
        with logging_to_stderr(self.verbosity, quiet=self.quiet):
            from flymq.client.client import FlyMQClient

            timeout = self.timeout()
            client = FlyMQClient(
                servers or self.servers(),
                timeout=timeout,
                connect_timeout=min(_CONNECT_TIMEOUT_S, timeout),
                auto_create_topics=auto_create_topics,
                sasl=self._sasl(settings),
                tls=settings.get("tls_ca") or bool(settings.get("tls")),
                **{"client_id": "flymq-cli", **settings.get("settings", {}), **self.extra},
            )
            with client:
                yield client

    def _sasl(self, settings: dict[str, Any]) -> tuple[str, str, str] | None:
        """Mechanism, user, password. Never from an argument: other users of the machine see those."""
        user = settings.get("sasl_username")
        if user is None:
            if settings.get("sasl_mechanism"):
                raise HintedUsageError("--sasl-mechanism needs a user", "give --sasl-username NAME")
            return None
        if self._password is None:  # asked once, also where there are two brokers
            self._password = _password(user, from_stdin="sasl_password_stdin" in settings)
        return settings.get("sasl_mechanism", "PLAIN"), user, self._password


def _password(user: str, *, from_stdin: bool) -> str:
    if from_stdin:  # bytes: the text layer would take what comes after it, which may be messages
        return sys.stdin.buffer.readline().decode(errors="surrogateescape").rstrip("\r\n")
    if "FLYMQ_SASL_PASSWORD" in os.environ:
        return os.environ["FLYMQ_SASL_PASSWORD"]
    if not sys.stdin.isatty():
        raise HintedUsageError(
            f"no password for {user}",
            "set FLYMQ_SASL_PASSWORD, or give it as the first line with --sasl-password-stdin",
        )
    return str(click.prompt(f"Password for {user}", hide_input=True, err=True))


pass_app = click.make_pass_decorator(App, ensure=True)
