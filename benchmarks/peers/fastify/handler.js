import awsLambdaFastify from '@fastify/aws-lambda'
import { app } from './app.js'

// Without the decorator: no handler here reads the event itself.
export const handler = awsLambdaFastify(app, { decorateRequest: false })

await app.ready()
