// One journey through the API; the types are generated from openapi.json. Arguments: the URL of the service, a token.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.d.ts";

declare const process: { argv: string[] };

const [url, token] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl: url!, headers: { Authorization: `Bearer ${token}` } });

const { data: customer } = await api.POST("/api/customers/", { body: { email: "typed@example.com", name: "Typed" } });
const item: components["schemas"]["NewItem"] = { sku: "MUG-11", quantity: 2, unit_price_cents: 1250 };
const created = await api.POST("/api/orders/", {
  params: { header: { "Idempotency-Key": "typed-1" } },
  body: { customer_id: customer!.id, items: [item] },
});
const order = created.data!;
const status: components["schemas"]["OrderStatus"] = order.status;

const tag = created.response.headers.get("etag")!;
const paid = await api.POST("/api/orders/{order_id}/pay/", {
  params: { path: { order_id: order.id }, header: { "If-Match": tag } },
});
const { data: page } = await api.GET("/api/orders/", { params: { query: { status: "paid", customer_id: customer!.id } } });
const again = await api.POST("/api/orders/{order_id}/deliver/", { params: { path: { order_id: order.id } } });
// @ts-expect-error: a status that does not exist is refused when it is compiled.
const unknown = await api.GET("/api/orders/", { params: { query: { status: "lost" } } });

console.log(
  JSON.stringify({
    statuses: [status, paid.data!.status],
    found: page!.results.map(({ id }) => id === order.id),
    refused: [again.response.status, unknown.response.status],
    title: again.error && "title" in again.error ? again.error.title : null,
  }),
);
