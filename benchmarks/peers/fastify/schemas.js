// What is checked on the way in, and what fast-json-stringify writes on the way out.
const id = { type: 'integer', minimum: 1 }
const count = { type: 'integer' }
const text = { type: 'string' }
const object = (properties) => ({ type: 'object', properties, required: Object.keys(properties), additionalProperties: false })
const page = (items) => object({ results: { type: 'array', items }, next: { type: 'string', nullable: true } })

const item = { sku: { type: 'string', minLength: 1, maxLength: 64 }, quantity: { ...id, maximum: 1e6 }, unit_price_cents: { type: 'integer', minimum: 0, maximum: 1e9 } }
const status = { type: 'string', enum: ['pending', 'paid', 'shipped', 'delivered', 'cancelled'] }
const limit = { type: 'integer', minimum: 1, maximum: 200, default: 50 }
const cursor = { type: 'string', maxLength: 200 }

const order = object({
  id,
  reference: { type: 'string', nullable: true },
  customer: object({ id, email: text, name: text }),
  status: text,
  allowed_actions: { type: 'array', items: text },
  total_cents: count,
  items: { type: 'array', items: object({ id, sku: text, quantity: count, unit_price_cents: count }) },
  metadata: { type: 'object', additionalProperties: text },
  created_at: text,
  updated_at: text
})
const customerSummary = object({ customer_id: id, email: text, name: text, order_count: count, item_count: count, total_spent_cents: count })

export const listOrders = {
  querystring: {
    type: 'object',
    properties: { status, email: { type: 'string', maxLength: 254 }, customer_id: id, limit, cursor },
    additionalProperties: false
  },
  response: { 200: page(order) }
}
export const summarizeOrders = {
  querystring: { type: 'object', properties: { limit, cursor }, additionalProperties: false },
  response: { 200: page(customerSummary) }
}
export const getOrder = { params: object({ id }), response: { 200: order } }
export const cancelOrder = getOrder
export const createOrder = {
  body: {
    type: 'object',
    properties: {
      customer_id: id,
      items: { type: 'array', minItems: 1, maxItems: 500, items: object(item) },
      reference: { type: 'string', minLength: 1, maxLength: 64 },
      metadata: { type: 'object', maxProperties: 20, additionalProperties: { type: 'string', maxLength: 500 } }
    },
    required: ['customer_id', 'items'],
    additionalProperties: false
  },
  response: { 201: order }
}
export const seed = { body: object({ customers: id, orders_per_customer: id, items_per_order: id }) }
