"""Kafka's wire protocol without I/O: messages, frames and record batches.

    from flymq_protocol.api.k12_heartbeat import HeartbeatRequest
    HeartbeatRequest.decode(4, body)

Usable on its own, by a broker or a client. Nothing is imported here: an API's module loads when it is asked for.
"""
