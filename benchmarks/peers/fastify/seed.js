import { randomUUID } from 'node:crypto'
import { sql } from './database.js'

const STATUSES = ['pending', 'paid', 'shipped', 'delivered', 'cancelled']
const FIRST_NAMES = ['Alice', 'Bruno', 'Chloe', 'Daniel', 'Elena', 'Farid', 'Grace', 'Hiro', 'Ines', 'Jonas', 'Kavya', 'Liam', 'Mei',
  'Noah', 'Olga', 'Pablo', 'Quinn', 'Rosa', 'Samir', 'Tara', 'Umut', 'Vera', 'Wanda', 'Yusuf', 'Zoe']
const LAST_NAMES = ['Nguyen', 'Garcia', 'Okafor', 'Schmidt', 'Rossi', 'Tanaka', 'Kowalski', 'Silva', 'Haddad', 'Larsen', 'Novak',
  'Dubois', 'Patel', 'Cohen', 'Murphy', 'Ivanova', 'Mensah', 'Kim', 'Svensson']
const SKUS = ['MUG-11', 'TEE-M', 'TEE-L', 'CAP-01', 'BAG-20', 'PEN-3', 'NOTE-A5', 'LAMP-7', 'DESK-120', 'CHAIR-2', 'CABLE-2M']
const CUSTOMERS_PER_BATCH = 500

// The rows go as one JSON text per table and batch, in one transaction.
export const seed = ({ customers, orders_per_customer, items_per_order }) => sql.begin(async (sql) => {
  const run = randomUUID()
  for (let first = 1; first <= customers; first += CUSTOMERS_PER_BATCH) {
    const ids = await sql`
      INSERT INTO customers (email, name)
      SELECT email, name
      FROM json_to_recordset(${sql.json(range(first, Math.min(customers, first + CUSTOMERS_PER_BATCH - 1)).map((n) => customer(run, n)))}::json)
        AS new_customer (email text, name text)
      RETURNING id`
    const orders = ids.flatMap(({ id }) => range(1, orders_per_customer).map((position) => order(id, position, items_per_order)))
    const made = await sql`
      INSERT INTO orders (customer_id, status, total_cents, item_count)
      SELECT customer_id, status, total_cents, item_count
      FROM json_to_recordset(${sql.json(orders.map(({ items, ...columns }) => columns))}::json)
        AS new_order (customer_id bigint, status text, total_cents bigint, item_count integer)
      RETURNING id`
    const items = made.flatMap(({ id }, index) => orders[index].items.map((item) => ({ order_id: id, ...item })))
    await sql`
      INSERT INTO order_items (order_id, sku, quantity, unit_price_cents)
      SELECT order_id, sku, quantity, unit_price_cents
      FROM json_to_recordset(${sql.json(items)}::json) AS new_item (order_id bigint, sku text, quantity integer, unit_price_cents bigint)`
  }
})

function customer (run, ordinal) {
  const first = FIRST_NAMES[(ordinal - 1) * 7 % FIRST_NAMES.length]
  const last = LAST_NAMES[(ordinal - 1) * 5 % LAST_NAMES.length]
  return { email: `${first.toLowerCase()}.${last.toLowerCase()}.${ordinal}@${run}.example.com`, name: `${first} ${last}` }
}

function order (customer_id, position, count) {
  const seed = customer_id * 13 + position * 101
  const items = range(1, count).map((line) => ({
    sku: SKUS[(seed + line) % SKUS.length],
    quantity: 1 + (seed + line) % 5,
    unit_price_cents: 199 + (seed * 31 + line * 577) % 9800
  }))
  const total_cents = items.reduce((sum, { quantity, unit_price_cents }) => sum + quantity * unit_price_cents, 0)
  return { customer_id, status: STATUSES[(customer_id + position) % STATUSES.length], total_cents, item_count: count, items }
}

function range (first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
