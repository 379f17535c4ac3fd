import { sql } from './database.js'

const columns = sql`
  o.id, o.reference, o.status, o.total_cents, o.metadata, o.created_at, o.updated_at, c.id AS customer_id, c.email, c.name`

const itemsIn = (table) => sql`(
  SELECT json_agg(json_build_object('id', i.id, 'sku', i.sku, 'quantity', i.quantity, 'unit_price_cents', i.unit_price_cents) ORDER BY i.id)
  FROM ${sql(table)} AS i WHERE i.order_id = o.id
) AS items`

const containing = (text) => `%${text.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`

// A needle decides which index serves it: planned with its value, each time.
const unprepared = (query) => {
  query.options.prepare = false
  return query
}

export const listOrders = (before, filters) => filters.email ? unprepared(listing(before, filters)) : listing(before, filters)

const listing = (before, { status, email, customer_id, limit }) => sql`
  SELECT ${columns}, ${itemsIn('order_items')}
  FROM orders AS o
  JOIN customers AS c ON c.id = o.customer_id
  WHERE o.id < ${before}
    ${status ? sql`AND o.status = ${status}` : sql``}
    ${email ? sql`AND lower(c.email) LIKE ${containing(email)}` : sql``}
    ${customer_id ? sql`AND o.customer_id = ${customer_id}` : sql``}
  ORDER BY o.id DESC
  LIMIT ${limit + 1}`

export const getOrder = (id) => sql`
  SELECT ${columns}, ${itemsIn('order_items')}
  FROM orders AS o
  JOIN customers AS c ON c.id = o.customer_id
  WHERE o.id = ${id}`

// Each write is one statement: no round trip between BEGIN and COMMIT.
export const createOrder = ({ customer_id, items, reference = null, metadata = {} }, requestId) => sql`
  WITH item AS (
    SELECT *
    FROM ROWS FROM (
      json_to_recordset(${sql.json(items)}::json) AS (sku text, quantity integer, unit_price_cents bigint)
    ) WITH ORDINALITY AS item (sku, quantity, unit_price_cents, position)
  ), o AS (
    INSERT INTO orders (customer_id, total_cents, item_count, reference, metadata)
    SELECT id, (SELECT sum(quantity * unit_price_cents) FROM item), (SELECT count(*) FROM item),
      ${reference}, ${sql.json(metadata)}::jsonb
    FROM customers WHERE id = ${customer_id}
    RETURNING *
  ), new_item AS (
    INSERT INTO order_items (order_id, sku, quantity, unit_price_cents)
    SELECT o.id, sku, quantity, unit_price_cents FROM o, item ORDER BY position
    RETURNING *
  ), event AS (
    INSERT INTO events (order_id, customer_id, sequence, type, request_id, changes)
    SELECT id, customer_id, 1, 'order.created', ${requestId}, json_build_object(
      'status', json_build_array(NULL, status), 'total_cents', json_build_array(NULL, total_cents))
    FROM o
  )
  SELECT ${columns}, ${itemsIn('new_item')}
  FROM o
  JOIN customers AS c ON c.id = o.customer_id`

export const cancelOrder = (id, requestId) => sql`
  WITH former AS (
    SELECT id, status FROM orders WHERE id = ${id} FOR NO KEY UPDATE
  ), o AS (
    UPDATE orders SET status = 'cancelled'
    FROM former
    WHERE orders.id = former.id AND former.status IN ('pending', 'paid')
    RETURNING orders.*, former.status AS former_status
  ), event AS (
    INSERT INTO events (order_id, customer_id, sequence, type, request_id, changes)
    SELECT
      id, customer_id, (SELECT 1 + coalesce(max(sequence), 0) FROM events WHERE order_id = ${id}), 'order.cancelled', ${requestId},
      json_build_object('status', json_build_array(former_status, status))
    FROM o
  )
  SELECT ${columns}, ${itemsIn('order_items')}
  FROM o
  JOIN customers AS c ON c.id = o.customer_id`

// What the replaced system counted on each request: it kept no totals per customer.
export const summarizeOrders = ({ spent, customer_id }, limit) => sql`
  SELECT *
  FROM (
    SELECT
      c.id AS customer_id, c.email, c.name,
      coalesce(t.order_count, 0) AS order_count,
      coalesce(t.item_count, 0) AS item_count,
      coalesce(t.total_spent_cents, 0) AS total_spent_cents
    FROM customers AS c
    LEFT JOIN (
      SELECT
        customer_id, count(*) AS order_count, sum(item_count) AS item_count,
        sum(total_cents) FILTER (WHERE status <> 'cancelled') AS total_spent_cents
      FROM orders
      GROUP BY customer_id
    ) AS t ON t.customer_id = c.id
  ) AS summary
  WHERE (-total_spent_cents, customer_id) > (${-spent}, ${customer_id})
  ORDER BY -total_spent_cents, customer_id
  LIMIT ${limit + 1}`
