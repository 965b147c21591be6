"""What goes wrong: exit codes, two lines that say what and what to do, no traceback; dead brokers told apart."""

from __future__ import annotations

import contextlib
import inspect
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flymq import EmbeddedBroker
from flymq.client import errors as client_errors
from flymq_cli.errors import EXIT_CODES, CliError, exit_code, hint_of
from tests.cli.kit import Cli, finish, start

# The promise is 5.5 s; other work may share the machine with the tests.
DEAD_S = 8.0


# -- exit codes -----------------------------------------------------------------------------------


def test_every_error_of_the_client_has_an_exit_code() -> None:
    known = dict(inspect.getmembers(client_errors, inspect.isclass))
    assert set(EXIT_CODES) <= set(known)
    for kind in known.values():
        if issubclass(kind, client_errors.FlyMQError):
            assert exit_code(kind("x")) in range(1, 8), kind
    assert exit_code(client_errors.AuthorizationError("x")) == 5
    assert exit_code(client_errors.GroupActiveError("x")) == 6
    assert exit_code(CliError("x", "y", 7)) == 7
    assert exit_code(ValueError("x")) is None


def test_hints_are_in_words_of_the_shell() -> None:
    """The client's own are for people who write Python."""
    for kind in vars(client_errors).values():
        if inspect.isclass(kind) and issubclass(kind, client_errors.FlyMQError):
            hint = hint_of(kind("x"))
            assert "client." not in hint, kind
            assert "=True" not in hint, kind
            assert "lambda" not in hint, kind


# -- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["consum"], "there is no command consum\n  did you mean consume?"),
        (["qqqq"], "there is no command qqqq\n  `flymq-cli --help` lists what there is"),
        (["topics", "lits"], "there is no command topics lits\n  did you mean list?"),
        (["group", "list"], "there is no command group\n  did you mean groups?"),
        (["consume"], "Missing argument 'TOPIC'\n  `flymq-cli consume --help`"),
        (["consume", "a", "b"], "unexpected extra argument"),
        (["consume", "t", "--ofset", "1"], "there is no option --ofset\n  did you mean --offset?"),
        (["consume", "t", "--password", "x"], "there is no option --password"),
        (["--sasl-password", "x", "consume", "t"], "there is no option --sasl-password"),
        (["consume", "t", "--count"], "requires an argument"),
        (["consume", "t", "--count", "x"], "'x' is not a valid integer"),
        (["consume", "t", "--count", "-1"], "-1 is not in the range"),
        (["consume", "t", "-p", "x"], "'x' is not a valid integer"),
        (["topics", "list", "-O", "xml"], "'xml' is not one of"),
        (["topics", "list", "--timeout", "0"], "--timeout"),
        (["topics", "list", "-b", "host:port"], "is not host:port"),
        (["topics", "list", "-b", "host:99999"], "is not host:port"),
        (["topics", "list", "-b", ""], "bootstrap_servers is empty"),
    ],
)
def test_a_wrong_command_line(offline: Cli, arguments: list[str], what: str) -> None:
    said = offline.fails(2, *arguments)
    assert what in said
    assert said.count("\n") == 2


def test_debug_gives_a_traceback_and_nothing_else_does(offline: Cli) -> None:
    for more in ([], ["-v"], ["-q"]):
        assert "Traceback" not in offline.fails(4, "health", "-b", "127.0.0.1:1", *more)
    done = offline("health", "-b", "127.0.0.1:1", "--debug")
    assert done.code == 4
    assert "Traceback (most recent call last)" in done.err
    assert "flymq-cli: nothing listens at 127.0.0.1:1\n" in done.err


def test_a_bug_is_called_one(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """No fault of ours is known that would do."""
    monkeypatch.setattr("flymq_cli.app.App.servers", lambda self: 1 / 0)
    done = offline("topics", "list")
    assert (done.code, done.err) == (
        1, "flymq-cli: ZeroDivisionError: division by zero\n  this is a bug: --debug shows where\n",
    )  # fmt: skip
    assert "1 / 0" in offline("topics", "list", "--debug").err


# -- dead brokers ---------------------------------------------------------------------------------


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """Takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def answers(data: bytes) -> Iterator[int]:
    """Says this to whatever it hears, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def web_server() -> contextlib.AbstractContextManager[int]:
    """What nginx says to a request that is none."""
    return answers(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def hangs_up() -> contextlib.AbstractContextManager[int]:
    return answers(b"")


@contextlib.contextmanager
def nothing() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (nothing, "nothing listens at 127.0.0.1:{port}\n  start a broker with `flymq serve`"),
        (silent, "127.0.0.1:{port} takes connections, but did not answer within 4.5 s"),
        (web_server, "127.0.0.1:{port} is not a Kafka broker: it speaks HTTP"),
        (hangs_up, "127.0.0.1:{port} is not a Kafka broker: it closed the connection"),
    ],
    ids=["dead port", "never answers", "HTTP", "hangs up"],
)
def test_a_dead_broker_is_told_for_what_it_is(
    what: Callable[[], contextlib.AbstractContextManager[int]], said: str
) -> None:
    with what() as port:
        began = time.monotonic()
        with start("topics", "list", servers=f"127.0.0.1:{port}") as process:
            done = finish(process)
        took = time.monotonic() - began
    assert done.code == 4
    assert done.stdout == b""
    assert done.err.startswith("flymq-cli: " + said.format(port=port))
    assert done.err.count("\n") == 2
    assert took < DEAD_S


@pytest.mark.parametrize(
    "command",
    ["subscribe t", "produce t x", "tail t", "groups list", "groups reset g", "cluster info", "topics copy a b",
     "bench produce", "health", "topics delete a b -y", "groups lag g --watch"],
)  # fmt: skip
def test_every_command_says_that_nothing_listens(offline: Cli, command: str) -> None:
    began = time.monotonic()
    said = offline.fails(4, *command.split(), "-b", "127.0.0.1:1")
    assert "nothing listens at 127.0.0.1:1" in said
    assert time.monotonic() - began < DEAD_S


def test_a_host_that_nobody_knows() -> None:
    began = time.monotonic()
    with start("consume", "t", servers="no-such-host.invalid:9092") as process:
        done = finish(process)
    assert done.code == 4
    assert "no address for no-such-host.invalid" in done.err
    assert "check the spelling" in done.err
    assert time.monotonic() - began < DEAD_S


def test_one_dead_address_of_two_is_fine(cli: Cli, broker: EmbeddedBroker) -> None:
    cli.ok("topics", "list", "-b", f"127.0.0.1:1,{broker.bootstrap_servers}")


# -- 5: not allowed -------------------------------------------------------------------------------


def test_a_certificate_that_is_not_trusted(offline: Cli, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=localhost", "-days", "2", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def shake_hands() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as connection:
                tls.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=shake_hands)
        thread.start()
        said = offline.fails(5, "topics", "list", "-b", f"127.0.0.1:{server.getsockname()[1]}", "--tls")
        thread.join()
    assert "is not trusted" in said
    assert "--tls-ca FILE" in said


class SaslBroker:
    """As much of a broker as it takes to be refused by it: FlyMQ has no users yet."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.bootstrap_servers = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, struct.error), connection.makefile("rb") as stream:
            while head := stream.read(4):
                request = stream.read(*struct.unpack(">i", head))
                key, version, correlation = struct.unpack_from(">hhi", request)
                body = struct.pack(">i", correlation) + self._answer(key, version, request)
                connection.sendall(struct.pack(">i", len(body)) + body)

    def _answer(self, key: int, version: int, request: bytes) -> bytes:
        if key == 18:  # ApiVersions: v0 is all there is
            ranges = [(3, 0, 9), (17, 0, 1), (18, 0, 0), (36, 0, 0)]
            rows = b"".join(struct.pack(">hhh", *row) for row in ranges)
            return struct.pack(">hi", 0 if version == 0 else 35, len(ranges)) + rows
        if key == 17:  # SaslHandshake
            return struct.pack(">hih5s", 0, 1, 5, b"PLAIN")
        self.seen.append(request)
        why = b"wrong password"
        return struct.pack(f">hh{len(why)}si", 58, len(why), why, 0)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def sasl_broker() -> Iterator[SaslBroker]:
    broker = SaslBroker()
    yield broker
    broker.close()


def test_a_password_of_the_environment(
    offline: Cli, sasl_broker: SaslBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYMQ_SASL_PASSWORD", "geheim")
    done = offline("topics", "list", "-b", sasl_broker.bootstrap_servers, "--sasl-username", "ada", "--timeout", "1")
    assert done.code in (4, 5)  # kafka-python does not tell a refusal from a time-out here
    assert "geheim" not in done.err
    assert b"ada\0geheim" in sasl_broker.seen[0]


def test_the_password_is_the_first_line_of_stdin(offline: Cli, sasl_broker: SaslBroker) -> None:
    where = ["-b", sasl_broker.bootstrap_servers, "--sasl-username", "ada", "--sasl-password-stdin", "--timeout", "1"]
    assert offline("topics", "list", *where, stdin="pässwort\r\nmore\n".encode()).code in (4, 5)
    assert "ada\0pässwort".encode() in sasl_broker.seen[0]
    assert b"more" not in sasl_broker.seen[0]
