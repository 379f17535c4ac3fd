"""A compressed file that goes to S3 in parts while it is written."""

import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

# S3 wants 5 MiB of every part but the last. A part ends where progress can be saved, unless it grows beyond the second.
PART_BYTES, MOST_PART_BYTES = 5 * 1024 * 1024, 16 * 1024 * 1024
COMPRESSED_AT_ONCE = 256 * 1024
GZIP = 16 + zlib.MAX_WBITS
LEVEL = 6


@cache
def s3() -> Any:
    import boto3  # noqa: PLC0415 - a message about nothing needs no S3
    from botocore.config import Config  # noqa: PLC0415

    # At once, and by the endpoint of the network: the checksum is part of the request, and not after its body.
    return boto3.client("s3", config=Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 3}))


class Upload:
    """parts: [number, entity tag] of each. next_number: gives a number that nobody else has for this file.

    A gzip file may consist of several; each point at which progress is saved ends one.
    """

    def __init__(
        self, bucket: str, key: str, upload_id: str, parts: list[list[Any]], tail: bytes, next_number: Callable[[], int]
    ) -> None:
        self.target = {"Bucket": bucket, "Key": key, "UploadId": upload_id}
        self.parts = parts
        self.next_number = next_number
        self.compressed = bytearray(tail)
        self.waiting: list[bytes] = []
        self.waiting_bytes = 0
        self.written = 0
        self.uploaded = 0
        self.compressor: Any = None

    def write(self, data: bytes) -> None:
        self.waiting.append(data)
        self.waiting_bytes += len(data)
        if self.waiting_bytes >= COMPRESSED_AT_ONCE:
            self._compress()
            if len(self.compressed) >= MOST_PART_BYTES:
                self.send_part()

    def pause(self) -> None:
        """Ends a gzip file, so that what follows can be written by somebody else."""
        self._compress()
        if self.compressor is not None:
            self.compressed += self.compressor.flush()
            self.compressor = None

    def send_part(self) -> None:
        number = self.next_number()
        tag = s3().upload_part(**self.target, PartNumber=number, Body=bytes(self.compressed))["ETag"]
        self.parts.append([number, tag])
        self.uploaded += len(self.compressed)
        self.compressed.clear()

    def complete(self) -> None:
        self.pause()
        if self.compressed or not self.parts:
            if not self.compressed:
                self.compressed += zlib.compress(b"", LEVEL, GZIP)
            self.send_part()
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in self.parts]
        s3().complete_multipart_upload(**self.target, MultipartUpload={"Parts": parts})

    def _compress(self) -> None:
        if self.waiting:
            if self.compressor is None:
                self.compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
            self.written += self.waiting_bytes
            self.compressed += self.compressor.compress(b"".join(self.waiting))
            self.waiting.clear()
            self.waiting_bytes = 0


def begin_upload(bucket: str, key: str) -> str:
    identifier: str = s3().create_multipart_upload(Bucket=bucket, Key=key, ContentType="application/gzip")["UploadId"]
    return identifier


def is_known(bucket: str, key: str, upload_id: str) -> bool:
    """Whether S3 still has the upload. It forgets those that nobody completes for days, and those that are complete."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        s3().list_parts(Bucket=bucket, Key=key, UploadId=upload_id, MaxParts=1)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise
        return False
    return True


def remove(bucket: str, key: str, upload_id: str | None) -> None:
    """The file, and what there is of it if it is not complete."""
    if upload_id is not None and is_known(bucket, key, upload_id):
        s3().abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
    s3().delete_object(Bucket=bucket, Key=key)
