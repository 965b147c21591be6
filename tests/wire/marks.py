"""What a test of both brokers says about itself."""

from __future__ import annotations

import pytest

deviates = pytest.mark.deviates
"""`@deviates(reason)`: FlyMQ is unlike Kafka here on purpose, by docs/deviations.md: on Kafka the test must fail."""
