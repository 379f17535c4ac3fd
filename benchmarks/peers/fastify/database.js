import { readFileSync } from 'node:fs'
import postgres from 'postgres'

const { DATABASE_HOST, DATABASE_PORT, DATABASE_NAME, DATABASE_USER, DATABASE_PASSWORD, DATABASE_TLS, DATABASE_CA_FILE } = process.env

// One connection per execution environment, opened by the first query.
export const sql = postgres({
  host: DATABASE_HOST,
  port: Number(DATABASE_PORT),
  database: DATABASE_NAME,
  username: DATABASE_USER,
  password: DATABASE_PASSWORD,
  ssl: DATABASE_TLS === 'verify' ? { ca: readFileSync(DATABASE_CA_FILE) } : false,
  max: 1,
  // A round trip saved on every new connection: no query here takes an array.
  fetch_types: false,
  types: {
    // The contract keeps integers within ±(2^53 − 1).
    bigint: { to: 20, from: [20, 1700], serialize: String, parse: Number },
    // Microseconds survive, which a Date would cut off.
    timestamp: { to: 1184, from: [1184], serialize: String, parse: (text) => `${text.replace(' ', 'T')}:00` }
  }
})
