"""Transactions: a pure machine for each shard of __transaction_state. (KIP-98, KIP-890)"""
