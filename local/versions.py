"""Versions of the local stack's functions, behind the alias that everything calls."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

ALIAS = "live"
"""Name of the alias, as in the template's `AutoPublishAlias`."""


def publish(functions: Any, names: Iterable[str]) -> None:
    """Publish a version of each function as it is now, and lead its alias there.

    `functions` is a client of Lambda. A deploy publishes by itself when the template, the code or a
    layer changes, but not for another value of a parameter (docs/decisions/0034-undoing.md).
    """

    def one(name: str) -> None:
        version = functions.publish_version(FunctionName=name)["Version"]
        functions.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, names))


def aliased(resources: Iterable[dict[str, Any]]) -> list[str]:
    """Names of the functions that have an alias, of a stack's resources as CloudFormation lists."""
    return [
        resource["PhysicalResourceId"].split(":")[-2]
        for resource in resources
        if resource["ResourceType"] == "AWS::Lambda::Alias"
    ]
