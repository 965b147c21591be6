"""The main job at a small size, by the clients that need only Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from compat_tests import main_job
from compat_tests.broker_process import BrokerProcess
from compat_tests.clients import CODECS, PYTHON_CLIENTS, Record
from compat_tests.real_lines import real_lines

# kafka-python reads its message definitions in a way that Python 3.11 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return real_lines(1200)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("data"), {"flymq.durability": "os"}) as broker:
        yield broker
        code, _ = broker.stop()
        assert code == 0
        assert broker.stderr == ""


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("producer", PYTHON_CLIENTS)
def test_real_lines_come_back_to_the_byte(producer: str, codec: str, broker: BrokerProcess, lines: list[bytes]) -> None:
    done = list(main_job.run_job(broker.bootstrap_servers, lines, producer, codec, PYTHON_CLIENTS))
    assert len(done) == 1 + len(PYTHON_CLIENTS)


# -- the check itself -----------------------------------------------------------------------------

LINES = [b"%d" % number for number in range(12)]
RIGHT = [Record(number % 6, number // 6, b"%d" % number, LINES[number]) for number in range(12)]


def test_the_check_passes_what_is_right() -> None:
    main_job.check(RIGHT, LINES)


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        (lambda records: records[:-1], "missing"),
        (lambda records: [*records, records[0]], "twice"),
        (lambda records: [records[0]._replace(value=b"0 "), *records[1:]], "is not"),
        (lambda records: [records[6]._replace(offset=0), *records[1:6], records[0]._replace(offset=1), *records[7:]],
         "after line"),
        (lambda records: [*records[:6], records[6]._replace(offset=2), *records[7:]], "was next"),
        (lambda records: [record._replace(partition=0, offset=at) for at, record in enumerate(records)], "only"),
    ],
)  # fmt: skip
def test_the_check_finds_planted_faults(planted: Callable[[list[Record]], list[Record]], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        main_job.check(planted(RIGHT), LINES)
