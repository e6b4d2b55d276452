"""The shorter way through moto's transactions: they end as without it."""

from typing import Any

import pytest

from tests import quick_moto

KEY = {"key": "one", "entry": "a"}
HELD = KEY | {"deep": {"nested": 1}, "many": 1, "gone": "still here"}
FURTHER = {
    "UpdateExpression": "SET deep.nested = :new REMOVE gone ADD many :new",
    "ExpressionAttributeValues": {":new": 2},
}
WRITES: dict[str, dict[str, Any]] = {
    "an update": {"Update": {"Key": KEY} | FURTHER},
    "an update of nothing": {
        "Update": {
            "Key": KEY | {"key": "new"},
            "UpdateExpression": "ADD many :new",
            "ExpressionAttributeValues": {":new": 2},
        }
    },
    "a put": {"Put": {"Item": KEY | {"deep": {"nested": 5}}}},
    "a delete": {"Delete": {"Key": KEY}},
}
NEVER = {
    "ConditionCheck": {
        "Key": {"key": "two", "entry": "a"},
        "ConditionExpression": "attribute_not_exists(#key)",
        "ExpressionAttributeNames": {"#key": "key"},
    }
}
ALWAYS = {"ConditionCheck": NEVER["ConditionCheck"] | {"Key": {"key": "none", "entry": "a"}}}


@pytest.fixture
def table(account: Any) -> Any:
    made = account.create_table(
        TableName="Things",
        KeySchema=[
            {"AttributeName": "key", "KeyType": "HASH"},
            {"AttributeName": "entry", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("key", "entry")
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    for item in (HELD, {"key": "two", "entry": "a"}, {"key": "one", "entry": "b"}):
        made.put_item(Item=item)
    return made


def state(table: Any) -> tuple[list[Any], int]:
    """All items, and the number of changes that the table's stream tells."""
    shard = quick_moto.tables()["Things"].stream_shard
    return sorted(table.scan()["Items"], key=str), len(shard.items if shard else ())


def write(table: Any, *entries: dict[str, Any]) -> None:
    named = [
        {kind: given | {"TableName": "Things"} for kind, given in entry.items()}
        for entry in entries
    ]
    table.meta.client.transact_write_items(TransactItems=named)


@pytest.mark.parametrize("name", WRITES)
def test_what_a_failed_transaction_has_written_is_gone(table: Any, name: str) -> None:
    before = state(table)
    with pytest.raises(table.meta.client.exceptions.TransactionCanceledException):
        write(table, WRITES[name], NEVER)
    assert state(table) == before
    write(table, WRITES[name], ALWAYS)
    items, changes = state(table)
    assert items != before[0]
    assert changes > before[1]
