// The frame of the console: which view an address shows, and how to get to the others.
import { html, render, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { Failure, Field, keepFocus, Loading } from "./parts.js";
import * as session from "./session.js";
import { settings } from "./settings.js";
import * as typed from "./typed.js";

// The first that fits the address is shown. path: `:name` stands for one part. load: the view's module, whose default export
// is a component that gets {parameters, query}. scopes: any one suffices. link: the endpoint that a deployment must have.
// nav: its name in the navigation.
const VIEWS = [
  { path: "orders", nav: "Orders", title: "Orders", scopes: ["orders/read"], load: () => import("./views/orders.js") },
  { path: "orders/new", title: "New order", scopes: ["orders/write"], load: () => import("./views/new_order.js") },
  { path: "orders/:id", title: "Order", scopes: ["orders/read"], load: () => import("./views/order.js") },
  { path: "customers", nav: "Customers", title: "Customers", scopes: ["customers/read"], load: () => import("./views/customers.js") },
  { path: "customers/new", title: "New customer", scopes: ["customers/write"], load: () => import("./views/customer.js") },
  { path: "customers/:id", title: "Customer", scopes: ["customers/read"], load: () => import("./views/customer.js") },
  { path: "summary", nav: "Summary", title: "Summary", scopes: ["orders/read"], load: () => import("./views/summary.js") },
  { path: "exports", nav: "Exports", title: "Exports", scopes: ["exports/write"], link: "exports", load: () => import("./views/exports.js") },
  { path: "webhooks", nav: "Webhooks", title: "Webhooks", scopes: ["webhooks/read"], link: "webhooks", load: () => import("./views/webhooks.js") },
  { path: "webhooks/:id", title: "Webhook", scopes: ["webhooks/read"], link: "webhooks", load: () => import("./views/webhooks.js") },
  ...(settings.mails ? [{ path: "mails", nav: "Mails", title: "Mails", scopes: ["orders/read"], load: () => import("./views/mails.js") }] : []),
  { path: "seed", nav: "Seed", title: "Seed", scopes: ["dev/seed"], link: "seed", load: () => import("./views/seed.js") },
  { path: "seed/:id", title: "Seed", scopes: ["dev/seed"], link: "seed", load: () => import("./views/seed.js") },
];

// In a request's path a browser takes them for this folder and the one above, even if they are escaped.
const DOTS = /^\.\.?$/;

// Views begin at the top, and lists know where they were left; the browser would scroll before there is anything to see.
history.scrollRestoration = "manual";
let moved = false;
addEventListener("hashchange", () => (moved = true));

const exists = (view) => !view.link || view.link in settings.links;
const open = (view) => exists(view) && session.may(...view.scopes);

function shown(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  const query = Object.fromEntries(new URLSearchParams(search));
  if (parts.length === 0) return { view: VIEWS.find((view) => view.nav && open(view)), parameters: {}, query };
  for (const view of VIEWS.filter(exists)) {
    const pattern = view.path.split("/");
    if (pattern.length === parts.length && pattern.every((part, at) => (part.startsWith(":") ? !DOTS.test(parts[at]) : part === parts[at]))) {
      const named = pattern.flatMap((part, at) => (part.startsWith(":") ? [[part.slice(1), parts[at]]] : []));
      return { view, parameters: Object.fromEntries(named), query };
    }
  }
  return { view: null, parameters: {}, query };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function useHash() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return hash;
}

function useSession() {
  const [, setVersion] = useState(0);
  useEffect(() => session.onChange(() => setVersion((version) => version + 1)), []);
}

function App() {
  const hash = useHash();
  useSession();
  const { view, parameters, query } = shown(hash);
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Header} current=${view} />
    <main id="main" tabindex="-1">${content(view, parameters, query)}</main>
  `;
}

function skip(event) {
  // The address says which view is shown.
  event.preventDefault();
  document.getElementById("main").focus();
}

function content(view, parameters, query) {
  if (!session.signedIn()) return html`<${SignIn} />`;
  if (!view) return html`<${Alone} title="There is nothing here"><p>This address leads nowhere. <a href="#/">To the start</a></p><//>`;
  if (!open(view)) {
    return html`<${Alone} title=${view.title}><p>Your sign-in does not allow this; it needs the scope ${view.scopes.join(" or ")}.</p><//>`;
  }
  return html`<${Loaded} key=${view.path + JSON.stringify(parameters)} view=${view} parameters=${parameters} query=${query} />`;
}

function Header({ current }) {
  const section = current?.path.split("/")[0];
  return html`<header class="top">
    <div class="bar">
      <a class="brand" href="#/"><${Icon} /> ${settings.name}</a>
      <nav aria-label="Views">
        ${session.signedIn() && VIEWS.filter((view) => view.nav && open(view)).map(
          (view) => html`<a href=${`#/${view.path}`} aria-current=${section === view.path ? "page" : undefined}>${view.nav}</a>`,
        )}
        <a href=${settings.links.docs}>API</a>
      </nav>
      <div class="who">
        <span class="stage" title=${`Version ${settings.version}`}>${settings.stage}</span>
        ${session.required && session.signedIn() && html`
          <span class="person" title=${session.person()}>${session.person()}</span>
          <button type="button" class="plain" onClick=${session.signOut}>Sign out</button>`}
      </div>
    </div>
  </header>`;
}

const Icon = () => html`<svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
  <rect width="32" height="32" rx="8" class="icon-ground" />
  <path d="M9 6.5h14v19l-2.8-1.9-2.1 1.9-2.1-1.9-2.1 1.9-2.1-1.9L9 25.5z" fill="#fff" />
  <path d="M12 11.5h8M12 15.5h8M12 19.5h4.5" class="icon-line" stroke-width="1.8" stroke-linecap="round" />
</svg>`;

/** Something in the place of a view. */
function Alone({ title, children }) {
  useOpened(title);
  return html`<div class="alone"><h1 tabindex="-1">${title}</h1>${children}</div>`;
}

function SignIn() {
  const [waits, setWaits] = useState(typed.waits);
  const [token, setToken] = useState("");
  const [error, setError] = useState(null);
  function paste(event) {
    event.preventDefault();
    try {
      session.paste(token);
    } catch (reason) {
      setError(reason.message);
    }
  }
  function discard() {
    typed.discard();
    setWaits(false);
    keepFocus();
  }
  return html`<${Alone} title="Sign in">
    ${waits && html`<p>Your sign-in has ended. What you had typed waits in this tab until you have signed in again.
      <button type="button" class="plain" onClick=${discard}>Discard it</button></p>`}
    ${session.interactive
      ? html`<p>This deployment asks who you are. You come back here afterwards.</p>
          <p><button type="button" class="primary" onClick=${session.begin}>Sign in</button></p>`
      : html`<p>Tokens of this deployment come from ${settings.sign_in.issuer}. Get one there and paste it; it is kept in this tab only.</p>
          <form onSubmit=${paste}>
            <${Field} label="Access token" name="token" autocomplete="off" value=${token} error=${error} onInput=${(event) => setToken(event.target.value)} />
            <button type="submit" class="primary">Use it</button>
          </form>`}
  <//>`;
}

function Loaded({ view, parameters, query }) {
  const [module, setModule] = useState(null);
  const [refusal, setRefusal] = useState(null);
  useEffect(() => {
    view.load().then(setModule, () => setRefusal({ title: "Not loaded", message: "This view could not be loaded; reload the page." }));
  }, []);
  useLayoutEffect(() => scrollTo({ top: 0, behavior: "instant" }), []);
  useOpened(view.title, module);
  if (refusal) return html`<${Failure} refusal=${refusal} onRetry=${() => location.reload()} />`;
  if (!module) return html`<${Loading} what="the view" />`;
  return html`<${module.default} parameters=${parameters} query=${query} />`;
}

/** A view that is opened names the page, and its heading gets the focus: a screen reader then begins there. */
function useOpened(title, ready = true) {
  const focused = useRef(false);
  useLayoutEffect(() => {
    document.title = `${title} · ${settings.name}`;
    const heading = document.querySelector("main h1");
    // Not at the start, where the browser begins at the top.
    if (ready && heading && !focused.current && moved) heading.focus({ preventScroll: true });
    focused.current ||= Boolean(ready);
  }, [title, ready]);
}

const place = document.getElementById("app");
place.replaceChildren();
render(html`<${App} />`, place);
