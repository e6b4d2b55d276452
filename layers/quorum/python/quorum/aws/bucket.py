"""One bucket: objects by key, uploads line by line, presigned addresses."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quorum.aws.faults import code_of, unavailable
from quorum.core.errors import NotFound, TooLarge
from quorum.core.lines import lines_of

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
LINK_SECONDS = 3_600
"""Seconds for which the presigned URL of a long answer is valid."""
_CHUNK_BYTES = 256 * 1024
_GONE = {"NoSuchKey", "404", "NotFound"}
_UNSEEN = _GONE | {"403", "AccessDenied"}
"""S3's codes for a HEAD of a missing object: 403 where the caller may not list the bucket."""


@contextmanager
def _found(missing: str, code: str, unread: str) -> Iterator[None]:
    """Raise `NotFound(missing, code=code)` for a missing object, or `StoreUnavailable`."""
    with unavailable(unread):
        try:
            yield
        except ClientError as error:
            if code_of(error) in _GONE:
                raise NotFound(missing, code=code) from error
            raise


class Bucket:
    """Objects of one bucket."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, key: str, body: bytes) -> None:
        """Store `body` under `key`; raises `StoreUnavailable`."""
        with unavailable("a content could not be stored"):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)

    def get(self, key: str, *, most_bytes: int | None = None) -> bytes:
        """The object under `key`.

        Raises `NotFound`, `StoreUnavailable`, and `TooLarge` as soon as it exceeds `most_bytes`.
        """
        with _found("no such content", "content_not_found", "a content could not be read"):
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
            # The length is not asked for: an answer that comes in chunks does not say it.
            content = body.read() if most_bytes is None else body.read(most_bytes + 1)
            if most_bytes is not None and len(content) > most_bytes:
                body.close()
                raise TooLarge(
                    f"a document has at most {most_bytes} bytes",
                    code="document_too_large",
                    limit=most_bytes,
                )
            return content + body.read()  # nothing, if the body came whole; else it raises

    def put_json(self, key: str, value: Any) -> None:
        """Store `value` as JSON; raises as `put`."""
        self.put(key, json.dumps(value, ensure_ascii=False).encode(errors="replace"))

    def get_json(self, key: str) -> Any:
        """The JSON object under `key`; raises as `get`."""
        return json.loads(self.get(key))

    def find_json(self, key: str) -> Any:
        """The JSON object under `key`, or None; raises `StoreUnavailable`."""
        try:
            return self.get_json(key)
        except NotFound:
            return None

    def require_upload(self, tenant: str, upload: str) -> None:
        """Raises `NotFound` unless `tenant` has put that upload there."""
        missing = NotFound("no such upload", code="upload_not_found", field="upload")
        if not upload.startswith(f"uploads/{tenant}/"):
            raise missing
        with unavailable("the upload could not be looked for"):
            try:
                self._s3.head_object(Bucket=self._bucket, Key=upload)
            except ClientError as error:
                if code_of(error) in _UNSEEN:
                    raise missing from error
                raise

    def lines(self, key: str, *, most_bytes: int) -> Iterator[bytes]:
        """The lines of an object, as they arrive, without blank ones; raises as `get`.

        A line of more than `most_bytes` is cut one byte after them (`lines_of`).
        """
        with _found("no such upload", "upload_not_found", "the upload could not be read"):
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        return lines_of(_chunks(body), most_bytes)

    def link(self, key: str) -> str:
        """A URL under which anybody may read the object for `LINK_SECONDS`."""
        return self._s3.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=LINK_SECONDS
        )


def _chunks(body: "StreamingBody") -> Iterator[bytes]:
    """The bytes of an object as they arrive; raises `StoreUnavailable` if they cease to."""
    with unavailable("the upload could not be read"):
        yield from body.iter_chunks(_CHUNK_BYTES)
