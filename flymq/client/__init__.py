"""The client for Python people: `FlyMQClient`, over kafka-python, against FlyMQ or any Kafka."""
