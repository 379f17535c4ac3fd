"""One export, as far as one invocation gets."""

import json
import os
import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from copies import OLDEST_FIRST, copy_statement, heading, newest, next_row
from uploads import PART_BYTES, Upload, begin_upload, is_known

from orders import database
from orders.connection import Connection
from orders.queues import Message

BEGIN, NUMBER_PART, SAVE, FINISH = (
    database.load_sql(__file__, f"{name}.sql") for name in ("begin_export", "number_part", "save_export", "finish_export")
)
BUCKET = os.environ["EXPORTS_BUCKET"]
DAYS_KEPT = 7
# No copy begins with less than this left: a range takes a second or two, and then a part is sent.
SECONDS_TO_FINISH = 25
FIRST_RANGE = 2_000
# Each range shall take about as long as this, or be about as large: a thousand small ones take longer than ten.
RANGE_SECONDS, RANGE_BYTES = 3.0, 64 * 1024 * 1024
FASTEST_GROWTH = 4
# Unless it would be so large that rows which a filter finds all of a sudden take longer than a statement may.
MOST_IDS = 200_000
# Also where a filter finds too little for parts: who follows a killed worker shall not begin where that one did.
SAVE_SECONDS = 10.0

logger = Logger()


class TakenOver(Exception):
    """Somebody else goes on with the export, or nobody wants it any more."""


class Export:
    def __init__(self, message: Message, row: list[Any], source: Connection) -> None:
        worker, self.kind, self.format, filters, self.key, upload_id, first, position, self.rows, self.bytes, parts, tail = row
        self.identity = {"export_id": message["export"], "worker": worker}
        self.outbox_id = message["outbox"]
        self.filters: dict[str, str] = json.loads(filters or "{}")
        self.source = source
        self.saved = time.monotonic()
        source.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        begins = position == first or not is_known(BUCKET, self.key, upload_id)
        if begins:
            [[position, snapshot_at]] = source.run(newest(self.kind))
            upload_id, parts, tail, self.rows, self.bytes = begin_upload(BUCKET, self.key), "[]", None, 0, 0
            self._change(BEGIN, position=position, upload_id=upload_id, snapshot_at=snapshot_at)
        self.first: int = position if begins else first
        self.position: int = position
        self.upload = Upload(BUCKET, self.key, upload_id, json.loads(parts), tail or b"", self._next_number)
        if begins:
            self.upload.write(heading(self.kind, self.format))

    def run(self, context: LambdaContext) -> None:
        span = FIRST_RANGE
        while self.position > 0:
            if context.get_remaining_time_in_millis() < SECONDS_TO_FINISH * 1000:
                self.upload.pause()
                self._save(ends=True)
                return
            span = self._copy_range(span)
            if len(self.upload.compressed) >= PART_BYTES:
                self.upload.pause()
                self.upload.send_part()
                self._save(ends=False)
            elif time.monotonic() - self.saved > SAVE_SECONDS:
                self.upload.pause()
                self._save(ends=False)
        self.upload.complete()
        self._change(FINISH, outbox_id=self.outbox_id, rows=self.rows, bytes=self.bytes + self.upload.uploaded, days=DAYS_KEPT)
        logger.info("Finished an export", extra={**self.identity, "rows": self.rows})

    def _copy_range(self, span: int) -> int:
        """Copies the next ids, so many or what there is; returns how many may be next."""
        end = max(0, self.position - span)
        begun, written = time.monotonic(), self.upload.written
        done = (self.first - self.position, self.first - end)
        ids = done if self.kind in OLDEST_FIRST else (end, self.position)
        copied = self.source.copy(copy_statement(self.kind, self.format, self.filters, ids), self.upload)
        self.rows += copied
        self.position = end if copied or end == 0 else self._next_position(end)
        taken = max((time.monotonic() - begun) / RANGE_SECONDS, (self.upload.written - written) / RANGE_BYTES)
        return max(FIRST_RANGE // 4, min(MOST_IDS, int(span * min(FASTEST_GROWTH, 1 / taken))))

    def _next_position(self, end: int) -> int:
        """The position, end or below it, at which rows go on: after a restore most ids belong to none."""
        oldest_first = self.kind in OLDEST_FIRST
        [[found]] = self.source.run(next_row(self.kind), id=self.first - end if oldest_first else end)
        if found is None:
            return 0
        # The row found is the first of the next range.
        return self.first - found + 1 if oldest_first else int(found)

    def _next_number(self) -> int:
        number: int = self._change(NUMBER_PART)
        return number

    def _save(self, *, ends: bool) -> None:
        self.saved = time.monotonic()
        self._change(
            SAVE,
            outbox_id=self.outbox_id,
            ends=ends,
            position=self.position,
            rows=self.rows,
            bytes=self.bytes + self.upload.uploaded,
            parts=json.dumps(self.upload.parts),
            tail=bytes(self.upload.compressed) or None,
        )

    def _change(self, sql: str, **params: Any) -> Any:
        """What the statement returns first. Raises TakenOver if the export is not this worker's any more."""
        rows = database.run(sql, repeatable=True, **self.identity, **params)
        if not rows:
            raise TakenOver
        return rows[0][0]
