"""Namespaces of `FlyMQClient` for looking after a cluster: topics, groups, the cluster itself."""
