"""ListGroups on the wire."""

from __future__ import annotations

from flymq_protocol.api.k16_list_groups import ListGroupsRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_name, a_topic, enter, join


def happy(client: Client, version: int) -> None:
    group = a_name("group")
    join(client, group)
    response = client.call(ListGroupsRequest(), version)
    assert response.error_code == ErrorCode.NONE
    (found,) = [one for one in response.groups if one.group_id == group]
    assert found.protocol_type == "consumer"
    assert found.group_state == ("Stable" if version >= 4 else "")
    assert found.group_type == ("classic" if version >= 5 else "")


def test_filters(client: Client) -> None:
    group = a_name("group")
    join(client, group)
    for states, types, is_there in (
        (["stable"], [], True), (["STABLE", "Empty"], ["Classic"], True), (["Empty"], [], False),
        (["none such"], [], False), ([], ["consumer"], False), ([], ["consumer", "CLASSIC"], True),
    ):
        listed = {one.group_id for one in client.call(ListGroupsRequest(states, types), 5).groups}
        assert (group in listed) is is_there


def test_consumer_groups(client: Client) -> None:
    group = a_name("group")
    enter(client, group, a_topic(client))
    for states, types, is_there in (
        (["stable"], [], True), (["Empty"], [], False), ([], ["Consumer"], True), ([], ["classic"], False),
    ):
        listed = {one.group_id: one for one in client.call(ListGroupsRequest(states, types), 5).groups}
        assert (group in listed) is is_there
        if is_there:
            assert (listed[group].group_type, listed[group].protocol_type) == ("consumer", "consumer")
