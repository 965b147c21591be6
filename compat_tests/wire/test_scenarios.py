"""Every test of tests/wire that needs a connection only, on FlyMQ and on Apache Kafka.

There is no code here: `conftest.py` collects the modules of tests/wire as if they were in this file. A new test there
runs on both brokers by itself.
"""
