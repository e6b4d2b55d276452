"""A shorter way through moto's serializer for the values of DynamoDB's items.

moto looks for each of the ten members that an `AttributeValue` may have under every name it could
go by; that was half of the time of all tests on moto. An item's value is a dict that has just one
of them, under its own name.
"""

from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.serialize import JSONSerializer
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table


def tables() -> dict[str, Table]:
    """The tables of the account."""
    found: dict[str, Table] = dynamodb_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].tables
    return found


def serialize_structure(
    self: JSONSerializer, serialized: dict[str, Any], value: Any, shape: Any, key: str
) -> None:
    """`JSONSerializer._serialize_type_structure`; of a dict that is a value, only what it has."""
    if shape.name != "AttributeValue" or type(value) is not dict or not key:
        MOTOS_OWN(self, serialized, value, shape, key)
        return
    wrapper: dict[str, Any] = {}
    for name, member in value.items():
        self._serialize(wrapper, member, shape.members[name], name)
    self._default_serialize(serialized, wrapper, shape, key)


MOTOS_OWN: Any = JSONSerializer._serialize_type_structure  # noqa: SLF001 the way it is shortened
