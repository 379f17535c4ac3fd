// Who is signed in, by the authorization-code flow with PKCE. Tokens stay in this tab's sessionStorage: no other tab has
// them, and they end with it.
import { settings } from "./settings.js";

const KEY = "orders.session";
const ATTEMPT = "orders.attempt";
// Renewed this long before its end, so that no request is sent with a token that has just ended.
const MARGIN_SECONDS = 30;

export const required = settings.sign_in !== null;
// Without these, an operator named an issuer but no client for people: they can still paste a token.
export const interactive = required && Boolean(settings.sign_in.authorization_endpoint && settings.sign_in.client_id);

let session = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
let renewal = null;
const listeners = new Set();
const endings = new Set();

export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** listener: called when the session ends by itself, while it is still known whose it was. */
export function onEnd(listener) {
  endings.add(listener);
  return () => endings.delete(listener);
}

function end() {
  for (const listener of endings) listener();
  keep(null);
}

function keep(found) {
  session = found;
  if (found) sessionStorage.setItem(KEY, JSON.stringify(found));
  else sessionStorage.removeItem(KEY);
  for (const listener of listeners) listener();
}

export const signedIn = () => !required || session !== null;

export const person = () => (session ? (session.claims.email ?? session.claims.username ?? session.claims.sub ?? null) : null);

/** Whether the session may use what needs any of these scopes. */
export function may(...scopes) {
  if (!required) return true;
  const granted = session?.claims.scope ?? session?.claims.scp ?? "";
  const words = Array.isArray(granted) ? granted : String(granted).split(" ");
  return scopes.some((scope) => words.includes(scope));
}

/** Leaves the page for the issuer's; it comes back to /console/signed-in. */
export async function begin() {
  const { authorization_endpoint, client_id, scopes } = settings.sign_in;
  const [verifier, state] = [randomText(), randomText()];
  sessionStorage.setItem(ATTEMPT, JSON.stringify({ verifier, state, back: location.hash }));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const asked = new URL(authorization_endpoint, location.href);
  asked.search = new URLSearchParams({
    response_type: "code",
    client_id,
    redirect_uri: redirectUri(),
    scope: scopes.join(" "),
    state,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
  });
  location.assign(asked);
}

/** What the issuer answered, as it stands in the address. Returns the view to go back to; throws an Error for people. */
export async function finish(answer) {
  const attempt = JSON.parse(sessionStorage.getItem(ATTEMPT) ?? "null");
  sessionStorage.removeItem(ATTEMPT);
  if (!attempt || answer.get("state") !== attempt.state) throw new Error("This answer does not belong to a sign-in that began here.");
  if (answer.has("error")) throw new Error(answer.get("error_description") ?? `The sign-in was refused: ${answer.get("error")}`);
  await exchange({
    grant_type: "authorization_code",
    code: answer.get("code") ?? "",
    redirect_uri: redirectUri(),
    code_verifier: attempt.verifier,
  });
  return attempt.back;
}

/** A token that somebody got elsewhere. Throws an Error if it is none. */
export function paste(text) {
  const token = text.trim().replace(/^Bearer /i, "");
  keep({ token, claims: claimsOf(token), refresh: null });
}

export function signOut() {
  keep(null);
  // Nothing that was done in this tab outlives it.
  sessionStorage.clear();
  const { end_session_endpoint, client_id } = settings.sign_in;
  if (!end_session_endpoint || !client_id) return;
  const asked = new URL(end_session_endpoint, location.href);
  asked.search = new URLSearchParams({ client_id, logout_uri: `${location.origin}/` });
  location.assign(asked);
}

/** The token for a request, renewed if need be; null where none is required or nobody is signed in. */
export async function token({ renewed = false } = {}) {
  if (!session) return null;
  const ends = session.claims.exp ?? Infinity;
  if (renewed || Date.now() / 1000 > ends - MARGIN_SECONDS) {
    // Requests that are under way at once share one renewal: a refresh token can be used once.
    renewal ??= renew().finally(() => (renewal = null));
    await renewal;
  }
  return session?.token ?? null;
}

async function renew() {
  if (!session.refresh) return end();
  try {
    await exchange({ grant_type: "refresh_token", refresh_token: session.refresh });
  } catch (reason) {
    // An issuer that cannot be reached, or not now, has ended nothing.
    if (reason.final) end();
  }
}

async function exchange(fields) {
  const { token_endpoint, client_id } = settings.sign_in;
  const answer = await fetch(token_endpoint, { method: "POST", body: new URLSearchParams({ client_id, ...fields }) });
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const message = document.error_description ?? `The issuer gave no token: ${document.error ?? answer.status}`;
    throw Object.assign(new Error(message), { final: answer.status < 500 && answer.status !== 429 });
  }
  keep({
    token: document.access_token,
    claims: claimsOf(document.access_token),
    // An issuer that does not rotate refresh tokens sends none with a renewal.
    refresh: document.refresh_token ?? fields.refresh_token ?? null,
  });
}

// Nothing is trusted that stands in it: the API checks every token. The page only shows what it may ask for.
function claimsOf(jwt) {
  try {
    const bytes = Uint8Array.from(atob(jwt.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return { ...JSON.parse(new TextDecoder().decode(bytes)) };
  } catch {
    throw new Error("This is not a token of the form that the API takes (a JWT).");
  }
}

const redirectUri = () => `${location.origin}/console/signed-in`;
const randomText = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
