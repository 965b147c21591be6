"""Consumer groups of KIP-848: the broker assigns, members heartbeat. `coordinator.ConsumerGroups` serves them."""
