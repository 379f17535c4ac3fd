// The worker of the benchmark for Node; benchmarks/worker.py says what it reads and writes.
import { createInterface } from 'node:readline'

const context = {
  functionName: 'bench',
  functionVersion: '1',
  memoryLimitInMB: '512',
  invokedFunctionArn: 'arn:aws:lambda:eu-central-1:000000000000:function:bench',
  awsRequestId: '00000000-0000-0000-0000-000000000000',
  callbackWaitsForEmptyEventLoop: false,
  getRemainingTimeInMillis: () => 10_000
}
let handler

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line)
  const start = process.hrtime.bigint()
  handler ??= (await import(process.argv[2])).handler
  if (message.events) {
    const cpu = process.cpuUsage()
    let failed = 0
    for (const { event } of message.events) failed += (await handler(event, context)).statusCode >= 300
    const { user, system } = process.cpuUsage(cpu)
    write({ seconds: seconds(start), cpu_seconds: (user + system) / 1e6, failed })
  } else {
    const answer = await handler(message.event, context)
    write({ seconds: seconds(start), answer })
  }
}
process.exit()

function seconds (start) {
  return Number(process.hrtime.bigint() - start) / 1e9
}

function write (report) {
  process.stdout.write(`${JSON.stringify(report)}\n`)
}
