"""The AWS clients' settings that no emulator needs and AWS does."""

from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest
from quorum.app.clients import Clients
from quorum.core.models import Frozen


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("ap-northeast-2", "some.s3.ap-northeast-2.amazonaws.com"),
        ("eu-south-1", "some.s3.eu-south-1.amazonaws.com"),
        ("us-east-1", "some.s3.amazonaws.com"),  # the global host is this region's own
    ],
)
def test_a_presigned_url_leads_to_the_buckets_own_region(
    region: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    s3 = Clients(Frozen()).s3
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "some", "Key": "uploads/a"})
    assert urlsplit(url).hostname == host


def test_the_local_stacks_urls_have_the_bucket_in_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    s3 = Clients(Frozen()).s3
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "some", "Key": "uploads/a"})
    assert url.startswith("http://127.0.0.1:4566/some/uploads/a?")


def test_every_request_names_quorum_in_awss_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    named: list[str] = []

    def note(request: AWSPreparedRequest, **_event: object) -> None:
        named.append(str(request.headers["User-Agent"]))
        raise InterruptedError  # it is not sent

    client = Clients(Frozen()).dynamodb.meta.client
    client.meta.events.register("before-send.dynamodb", note)
    with pytest.raises(InterruptedError):
        client.list_tables()
    assert "quorum" in named[0]
    assert "md/arch" not in named[0]  # botocore's own, which takes it long
