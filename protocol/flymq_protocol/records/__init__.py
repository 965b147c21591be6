"""Record batches, format v2 (KIP-98): headers and stamping, records, compression, control records.

A broker handles batches as they came, compressed: `batch` is all that its hot path needs. `record` and
`compression` are for what has to look inside, and for clients.
"""
