import Fastify from 'fastify'
import * as queries from './queries.js'
import * as schemas from './schemas.js'
import { seed } from './seed.js'

const ACTIONS = { pending: ['pay', 'cancel'], paid: ['ship', 'cancel'], shipped: ['deliver'], delivered: [], cancelled: [] }

export const app = Fastify({ logger: false, routerOptions: { ignoreTrailingSlash: true }, requestIdHeader: 'x-request-id' })

app.get('/api/orders', { schema: schemas.listOrders }, async (request) => {
  const [before] = position(request.query, [Number.MAX_SAFE_INTEGER])
  return page(request, (await queries.listOrders(before, request.query)).map(document), (order) => [order.id])
})

app.get('/api/orders/summary', { schema: schemas.summarizeOrders }, async (request) => {
  const { cursor, limit } = request.query
  const [spent, customer_id] = position({ cursor }, [Number.MAX_SAFE_INTEGER, 0])
  const rows = await queries.summarizeOrders({ spent, customer_id }, limit)
  return page(request, rows, (row) => [row.total_spent_cents, row.customer_id])
})

app.get('/api/orders/:id', { schema: schemas.getOrder }, async (request, reply) => {
  const [order] = await queries.getOrder(request.params.id)
  return order ? document(order) : problem(reply, 404, `There is no order ${request.params.id}.`)
})

app.post('/api/orders', { schema: schemas.createOrder }, async (request, reply) => {
  const [order] = await queries.createOrder(request.body, request.id)
  if (!order) return problem(reply, 422, `There is no customer ${request.body.customer_id}.`)
  return reply.code(201).header('location', `/api/orders/${order.id}/`).send(document(order))
})

app.post('/api/orders/:id/cancel', { schema: schemas.cancelOrder }, async (request, reply) => {
  const { id } = request.params
  const [changed] = await queries.cancelOrder(id, request.id)
  if (changed) return document(changed)
  const [order] = await queries.getOrder(id)
  if (!order) return problem(reply, 404, `There is no order ${id}.`)
  return order.status === 'cancelled' ? document(order) : problem(reply, 409, `The order is ${order.status}.`)
})

app.post('/api/dev/seed', { schema: schemas.seed }, async (request, reply) => {
  await seed(request.body)
  return reply.code(201).send({ customers: request.body.customers })
})

function document ({ id, reference, status, total_cents, metadata, created_at, updated_at, customer_id, email, name, items }) {
  return {
    id,
    reference,
    customer: { id: customer_id, email, name },
    status,
    allowed_actions: ACTIONS[status],
    total_cents,
    items: items ?? [],
    metadata,
    created_at,
    updated_at
  }
}

function page (request, rows, keys) {
  const { limit, ...filters } = request.query
  if (rows.length <= limit) return { results: rows, next: null }
  const results = rows.slice(0, limit)
  const cursor = Buffer.from(JSON.stringify(keys(results[limit - 1]))).toString('base64url')
  const query = new URLSearchParams({ ...filters, limit, cursor })
  return { results, next: `https://${request.host}${request.routeOptions.url}/?${query}` }
}

function position ({ cursor }, first) {
  return cursor ? JSON.parse(Buffer.from(cursor, 'base64url')) : first
}

function problem (reply, status, detail) {
  return reply.code(status).type('application/problem+json').send({ title: detail, status })
}
