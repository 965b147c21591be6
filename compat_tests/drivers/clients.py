"""All clients, old releases too, in the order of the table."""

from __future__ import annotations

from compat_tests.drivers.go import clients as go
from compat_tests.drivers.java import clients as java
from compat_tests.drivers.js import clients as js
from compat_tests.drivers.python import clients as python
from compat_tests.drivers.rust import clients as rust

CLIENTS = [*python.CLIENTS, *java.CLIENTS, *go.CLIENTS, *js.CLIENTS, *rust.CLIENTS]
