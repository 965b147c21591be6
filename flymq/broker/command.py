"""The `flymq` command: start a broker, look at its settings.

Whatever goes wrong is one line that begins with `flymq:` and one that says what to do. Exit codes: 1 where
the broker could not start or go on, 2 where the command or the settings are wrong.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from flymq.core.settings import BrokerConfig, Layer, Setting

# Before the imports that a subcommand makes, so that the ready line counts them.
_STARTED_AT = time.time()

_EXIT_USAGE = 2


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command; its exit code. Prints errors instead of raising them."""
    try:
        result = flymq.main(args=arguments, prog_name="flymq", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return _EXIT_USAGE
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "flymq"
        return _fail(error.format_message(), f"`{where} --help` lists what there is")
    except click.Abort:
        return 130  # as a shell reports SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails again
        return 1
    except Exception as error:
        hint = getattr(error, "hint", None)  # ConfigError, SettingError
        if hint is None:
            raise
        return _fail(str(error), hint)


def _fail(message: str, hint: str) -> int:
    click.echo(f"flymq: {message}\n  {hint}", err=True)
    return _EXIT_USAGE


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def flymq() -> None:
    """FlyMQ: a Kafka in one Python package."""


def _settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--config and --set."""
    command = click.option("--set", "flags", multiple=True, metavar="KEY=VALUE", help="One setting, by Kafka's name.")(
        command
    )
    return click.option("--config", "file", metavar="FILE", help="Settings: TOML, or a server.properties.")(command)


_listen_option = click.option("--listen", metavar="HOST:PORT", help="Where to listen.  [default: localhost:9092]")


@flymq.command()
@click.option("--data-dir", metavar="DIR", help="Where the data is.  [default: ./flymq-data]")
@_listen_option
@_settings_options
def serve(data_dir: str | None, listen: str | None, file: str | None, flags: tuple[str, ...]) -> int:
    """Run a durable broker.

    Records are on the disk before a producer with acks=all hears of it (flymq.durability=fsync).
    """
    from flymq.broker.config import ConfigError

    overrides: list[Layer] = [{"log.dirs": (data_dir, "--data-dir")}] if data_dir is not None else []
    config = _load(listen, file, flags, {"log.dir": ("flymq-data", "flymq serve")}, overrides)
    folders = config.get("log.dirs") or config.list("log.dir")
    if len(folders) != 1:
        raise ConfigError(
            f"{config.origin('log.dirs')}: log.dirs has {len(folders)} folders, and FlyMQ keeps one", "give one folder"
        )
    return _run(config, folders[0], f"data in {folders[0]}, durability {config.str('flymq.durability')}")


@flymq.command()
@_listen_option
@_settings_options
def dev(listen: str | None, file: str | None, flags: tuple[str, ...]) -> int:
    """Run a broker in memory: nothing is left when it stops.

    Groups do not wait for more members (group.initial.rebalance.delay.ms=0).
    """
    config = _load(listen, file, flags, {"group.initial.rebalance.delay.ms": ("0", "flymq dev")}, [])
    return _run(config, None, "in memory, nothing is kept")


def _load(
    listen: str | None, file: str | None, flags: tuple[str, ...], defaults: Layer, overrides: list[Layer]
) -> BrokerConfig:
    from flymq.broker.config import listen_layer, load

    if listen is not None:
        overrides = [*overrides, listen_layer(listen)]
    return load(file=file, environment=os.environ, flags=flags, defaults=defaults, overrides=overrides)


def _run(config: BrokerConfig, data_dir: str | None, storage: str) -> int:
    from flymq.broker.app import run as run_broker
    from flymq.broker.config import environment_warnings, warnings_of
    from flymq.version import __version__

    click.echo(f"FlyMQ {__version__} · {storage}")
    for warning in [*environment_warnings(os.environ), *warnings_of(config)]:
        click.echo(f"flymq: warning: {warning}", err=True)
    return run_broker(config, data_dir=data_dir, started_at=_STARTED_AT)


@flymq.command()
def version() -> None:
    """Print the version."""
    from flymq.version import __version__

    click.echo(f"flymq {__version__}")


# -- settings -------------------------------------------------------------------------------------


@flymq.group()
def config() -> None:
    """Look at settings."""


@config.command()
@click.option("--origin", is_flag=True, help="Also where each value comes from.")
@_settings_options
def show(origin: bool, file: str | None, flags: tuple[str, ...]) -> None:
    """Print every setting that `flymq serve` would run with."""
    from flymq.broker.config import load
    from flymq.core.settings import BROKER_SETTINGS

    loaded = load(file=file, environment=os.environ, flags=flags)
    width = max(map(len, BROKER_SETTINGS))
    for name, setting in BROKER_SETTINGS.items():
        value = "[hidden]" if setting.sensitive else loaded.text(name) or ""
        line = f"{name:{width}} = {value}"
        click.echo(f"{line}  ({loaded.origin(name)})" if origin else line)


@config.command()
@click.argument("file")
def check(file: str) -> None:
    """Say whether a broker would start with the settings in FILE."""
    from flymq.broker.config import load, warnings_of

    loaded = load(file=file)
    for warning in warnings_of(loaded):
        click.echo(f"flymq: warning: {warning}", err=True)
    click.echo(f"{file} is fine")


@config.command()
@click.argument("name")
def explain(name: str) -> None:
    """Describe a setting of the broker or of a topic."""
    from flymq.broker.config import ConfigError, environment_name
    from flymq.core.settings import BROKER_SETTINGS, TOPIC_SETTINGS, UNUSED_SETTINGS, did_you_mean, is_unused

    if name in BROKER_SETTINGS:
        _explain("broker", BROKER_SETTINGS[name])
        click.echo(f"  environment: {environment_name(name)}")
    if name in TOPIC_SETTINGS:
        _explain("topic", TOPIC_SETTINGS[name])
        if TOPIC_SETTINGS[name].synonyms:
            click.echo(f"  falls back to the broker's: {', '.join(TOPIC_SETTINGS[name].synonyms)}")
    if name in BROKER_SETTINGS or name in TOPIC_SETTINGS:
        return
    if is_unused(name):
        click.echo(f"{name}: a setting of Kafka's broker. FlyMQ accepts it, and does nothing with it.")
        return
    known = [*BROKER_SETTINGS, *TOPIC_SETTINGS, *UNUSED_SETTINGS]
    raise ConfigError(f"there is no setting {name}", did_you_mean(name, known))


def _explain(kind: str, setting: Setting) -> None:
    default = "none" if setting.default is None else setting.default or "empty"
    if setting.default != setting.kafka_default:
        default += f" (Kafka: {setting.kafka_default or 'none'})"
    click.echo(f"{setting.name} ({kind} setting)")
    click.echo(f"  {setting.doc}")
    click.echo(f"  value: {setting.expected}")
    click.echo(f"  default: {default}")
