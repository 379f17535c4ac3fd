// Requests to the API, and its refusals.
import * as session from "./session.js";

/** A refusal. status: 0 if there was no answer. errors: field → message. detail: for people. */
export class Refusal extends Error {
  constructor(status, document) {
    const errors = document.errors ?? [];
    // The detail names only the first of several.
    const all = errors.length > 1 && errors.map(({ field, message }) => `${field}: ${message}`).join("; ");
    super(all || (document.detail ?? document.message ?? `The service answered ${status}.`));
    this.status = status;
    this.title = document.title ?? (status ? `Error ${status}` : "No answer");
    this.errors = Object.fromEntries(errors.map(({ field, message }) => [field, message]));
    this.requestId = document.requestId ?? null;
  }

  /** Whether the same request may be answered otherwise a moment later. */
  get passing() {
    return this.status === 0 || this.status >= 500;
  }

  /** Whether there is nothing that has the id of the path; an id that is none is refused as invalid. */
  get missing() {
    return this.status === 404 || this.status === 422;
  }
}

/**
 * Resolves to {document, etag, status}; rejects with a Refusal. ifMatch: an ETag. key: repeating the request with it is safe.
 * A call that is aborted rejects with what the signal says.
 */
export async function call(method, path, { body, ifMatch, key, signal } = {}) {
  let answer = await send(method, path, { body, ifMatch, key, signal }, await session.token());
  if (answer.status === 401 && session.required) {
    const renewed = await session.token({ renewed: true });
    if (renewed) answer = await send(method, path, { body, ifMatch, key, signal }, renewed);
  }
  const document = parsed(await reached(answer.text(), signal));
  if (!answer.ok) {
    throw new Refusal(answer.status, { ...document, requestId: answer.headers.get("apigw-requestid") });
  }
  // A proxy's own page, perhaps.
  if (!document && answer.status !== 204) {
    throw new Refusal(answer.status, { title: "Not understood", detail: "Something else than the service has answered. Try again." });
  }
  return { document, status: answer.status, etag: answer.headers.get("etag") };
}

async function send(method, path, { body, ifMatch, key, signal }, token) {
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (ifMatch) headers["If-Match"] = ifMatch;
  if (key) headers["Idempotency-Key"] = key;
  return reached(fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal }), signal);
}

/** What a connection brings; it may also break off in the middle of an answer. */
async function reached(brought, signal) {
  try {
    return await brought;
  } catch (reason) {
    if (signal?.aborted) throw reason;
    throw new Refusal(0, { detail: "The service cannot be reached. Check the connection, then try again." });
  }
}

/** The document of an answer; null if it is none. */
function parsed(text) {
  try {
    const document = JSON.parse(text);
    return typeof document === "object" ? document : null;
  } catch {
    return null;
  }
}

/** A new idempotency key: one per intention, kept over its attempts. */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** A path, which may have a query, with those parameters that have a value. */
export function withQuery(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `${path}${path.includes("?") ? "&" : "?"}${new URLSearchParams(given)}` : path;
}
