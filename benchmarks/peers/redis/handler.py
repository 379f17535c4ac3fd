"""What others keep the summary in: a cache. Its answer is as old as the cache lets it be."""

import os

from redis import Redis

redis = Redis(host="127.0.0.1", port=int(os.environ["REDIS_PORT"]), decode_responses=True)


def handler(_event, _context):
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": redis.get("summary")}
