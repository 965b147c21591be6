"""How Apache Kafka is run is found without a word, and where it can't be, the table says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compat_tests import kafka_container, matrix, targets
from compat_tests.targets import DOCKER, JARS, KAFKA

NO_ENGINE, NO_JDK = "no engine", "no JDK"


@pytest.fixture
def lacks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def lacks(*, engine: str | None = None, jars: str | None = None) -> None:
        monkeypatch.setattr(targets, "why_no_engine", lambda: engine)
        monkeypatch.setattr(targets, "_why_no_jars", lambda: jars)

    return lacks


def test_the_image_goes_before_the_jars(lacks: Callable[..., None]) -> None:
    lacks()
    assert targets.way_to_kafka() == DOCKER
    lacks(engine=NO_ENGINE)
    assert targets.way_to_kafka() == JARS


def test_who_asks_gets_that_or_nothing(lacks: Callable[..., None]) -> None:
    lacks()
    assert targets.way_to_kafka(JARS) == JARS
    lacks(engine=NO_ENGINE)
    with pytest.raises(targets.NoKafka, match=f"^{NO_ENGINE}$"):
        targets.way_to_kafka(DOCKER)


def test_all_that_is_missing_is_told(lacks: Callable[..., None]) -> None:
    lacks(engine=NO_ENGINE, jars=NO_JDK)
    with pytest.raises(targets.NoKafka, match=f"^{NO_ENGINE}; {NO_JDK}$"):
        targets.way_to_kafka()


def test_no_engine_is_no_noise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    assert kafka_container.why_no_engine() == "no Docker engine answers here (`docker info`)"
    assert capfd.readouterr() == ("", "")


def test_settings_become_the_images_variables() -> None:
    assert kafka_container._variable("group.initial.rebalance.delay.ms") == "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS"


def test_the_page_says_that_nothing_was_compared(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    recorder = matrix.Recorder(runs)
    for target, outcome, said in (
        ("flymq", "passed", None), (KAFKA, "skipped", ("file", 1, f"Skipped: {matrix.NOT_COMPARED}: {NO_JDK}")),
    ):  # fmt: skip
        recorder.pytest_runtest_logreport(
            pytest.TestReport(
                f"test[{target}]", ("file", 1, "test"), {}, outcome, said, "setup" if said else "call",
                user_properties=[("scenario", ("a client", "produce", target))],
            )
        )  # fmt: skip
    recorder.pytest_sessionfinish()
    assert recorder.not_compared == f"{matrix.NOT_COMPARED}: {NO_JDK}"
    page = matrix.page(matrix.recorded(runs))
    assert f"**{matrix.NOT_COMPARED}**" in page
    assert "| a client | 1/1 · - |" in page
    assert "## Failures\n\nNone." in page


def test_of_runs_of_one_test_the_last_counts(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for outcome in ("failed", "passed"):
        recorder = matrix.Recorder(runs)
        recorder.runs.append(matrix.Run("a client", "produce", "flymq", "test[flymq]", outcome))
        recorder.pytest_sessionfinish()
    assert [run.outcome for run in matrix.recorded(runs)] == ["passed"]
