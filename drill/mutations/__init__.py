"""Whether the drill would notice: each mutation takes one safeguard away from a copy of the service."""

from drill.mutations import database, keys, orders, telling, totals, work
from drill.mutations.kit import Mutation

MUTATIONS: dict[str, Mutation] = {
    name: mutation for part in (keys, orders, totals, work, telling, database) for name, mutation in part.MUTATIONS.items()
}
