// Whole lists as files: asks for one, shows how far each is, and downloads it.
import { call, withQuery } from "../api.js";
import { count, words } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Button, Confirm, Empty, Failure, Field, focusWrong, Heading, Loading, Notice, Time, keepFocus } from "../parts.js";
import { may } from "../session.js";
import { useKeyOf, useTyped } from "../typed.js";

const POLL_MS = 1000;
// While the service cannot be reached.
const RETRY_MS = 2000;
const MOST = 200;
const UNFINISHED = ["queued", "running"];
const STATUSES = ["pending", "paid", "shipped", "delivered", "cancelled"];
// What there is to choose. scope: of the list. filters: those of the list that this form offers.
const KINDS = [
  { name: "orders", scope: "orders/read", filters: ["status", "email", "customer_id", "reference"] },
  { name: "items", scope: "orders/read", filters: ["status", "email", "customer_id", "reference"] },
  { name: "customers", scope: "customers/read", filters: ["email"] },
  { name: "summary", scope: "orders/read", filters: [] },
  { name: "events", scope: "events/read", filters: ["customer_id"] },
];
const FORMATS = { csv: "CSV", jsonl: "JSON Lines" };
const path = (id) => `/api/exports/${encodeURIComponent(id)}/`;

export default function Exports({ query }) {
  const [exports, setExports] = useState(null);
  const [refusal, setRefusal] = useState(null);
  const [notice, setNotice] = useState(null);
  const timer = useRef();
  const gone = useRef(false);

  async function look() {
    clearTimeout(timer.current);
    try {
      const { document } = await call("GET", withQuery("/api/exports/", { limit: MOST }));
      if (gone.current) return;
      setExports(document.results);
      setRefusal(null);
      clearTimeout(timer.current);
      if (document.results.some(({ status }) => UNFINISHED.includes(status))) timer.current = setTimeout(look, POLL_MS);
    } catch (reason) {
      if (gone.current) return;
      // The first is said, and not again each time.
      setRefusal((said) => said ?? reason);
      clearTimeout(timer.current);
      if (reason.passing) timer.current = setTimeout(look, RETRY_MS);
    }
  }

  useEffect(() => {
    look();
    return () => {
      gone.current = true;
      clearTimeout(timer.current);
    };
  }, []);

  async function attempt(action, title) {
    setNotice(null);
    try {
      await action();
    } catch (reason) {
      setNotice({ title, message: reason.message });
    }
    await look();
    keepFocus();
  }

  const download = (id) =>
    attempt(async () => {
      const { document } = await call("GET", path(id));
      if (document.url) location.assign(document.url);
    }, "Not downloaded.");
  const remove = (id) => attempt(() => call("DELETE", path(id)), "Not removed.");

  return html`
    <${Heading} title="Exports" />
    <p class="lead">Everything that a list shows with the same filters, as one compressed file. Files are kept for a week.</p>
    <${Form} query=${query} onStarted=${look} />
    ${notice && html`<${Notice} kind="error" title=${notice.title} onDismiss=${() => setNotice(null)}>${notice.message}<//>`}
    ${refusal && html`<${Failure} refusal=${refusal} onRetry=${look} />`}
    ${exports === null && !refusal && html`<${Loading} what="the exports" />`}
    ${exports?.length === 0 && html`<${Empty} title="No exports yet">They appear here with their progress.<//>`}
    ${exports?.length > 0 && html`<table class="rows exports">
      <caption class="visually-hidden">Exports, newest first</caption>
      <thead><tr>
        <th scope="col">Export</th>
        <th scope="col">Status</th>
        <th scope="col" class="right">Actions</th>
      </tr></thead>
      <tbody>${exports.map((one) => html`<${Row} key=${one.id} one=${one} onDownload=${download} onRemove=${remove} />`)}</tbody>
    </table>`}
  `;
}

function Form({ query, onStarted }) {
  const kinds = KINDS.filter(({ scope }) => may(scope));
  // What an address asks for that cannot be chosen is not asked for in secret.
  const [chosen, setChosen] = useTyped("chosen", {
    ...query,
    format: query.format in FORMATS ? query.format : "csv",
    status: STATUSES.includes(query.status) ? query.status : "",
  });
  const [errors, setErrors] = useState({});
  const [refusal, setRefusal] = useState(null);
  const [busy, setBusy] = useState(false);
  const [keyOf, renewKey] = useKeyOf();
  const kind = kinds.find(({ name }) => name === chosen.kind) ?? kinds[0];
  if (!kind) return html`<p>Your sign-in allows exports, but reading no list that could be exported.</p>`;
  const set = (name) => (event) => setChosen({ ...chosen, [name]: event.target.value });

  async function submit(event) {
    event.preventDefault();
    if (busy) return;
    const form = event.currentTarget;
    setErrors({});
    setRefusal(null);
    setBusy(true);
    const given = kind.filters.map((name) => [name, (chosen[name] ?? "").trim()]).filter(([, text]) => text !== "");
    const filters = Object.fromEntries(given.map(([name, text]) => [name, name.endsWith("_id") ? (Number(text) || text) : text]));
    try {
      const body = { kind: kind.name, format: chosen.format, filters };
      await call("POST", "/api/exports/", { body, key: keyOf(body) });
      renewKey();
      await onStarted();
    } catch (reason) {
      setErrors(reason.errors);
      if (Object.keys(reason.errors).length === 0) setRefusal(reason);
      focusWrong(form);
    }
    setBusy(false);
  }

  const typed = { email: "E-mail contains", customer_id: "Customer's number", reference: "Reference" };
  const keyboards = { email: "email", customer_id: "numeric" };
  return html`<section class="card" aria-labelledby="new-export">
    <h2 id="new-export">New export</h2>
    <form onSubmit=${submit} novalidate>
      <div class="choices">
        <${Choice} label="What" value=${kind.name} onChange=${set("kind")} options=${kinds.map(({ name }) => [name, words(name)])} />
        <${Choice} label="Format" value=${chosen.format} onChange=${set("format")} options=${Object.entries(FORMATS)} />
        ${kind.filters.includes("status") && html`<${Choice} label="Status" value=${chosen.status ?? ""} onChange=${set("status")}
          options=${[["", "All"], ...STATUSES.map((status) => [status, words(status)])]} />`}
        ${Object.entries(typed).filter(([name]) => kind.filters.includes(name)).map(([name, label]) => html`<${Field} key=${name} label=${label}
          name=${name} autocomplete="off" inputmode=${keyboards[name]} value=${chosen[name] ?? ""}
          error=${errors[`filters.${name}`]} onInput=${set(name)} />`)}
      </div>
      ${refusal && html`<${Failure} refusal=${refusal} />`}
      <div class="buttons"><${Button} type="submit" class="primary" busy=${busy}>Start<//></div>
    </form>
  </section>`;
}

let choices = 0;

function Choice({ label, value, onChange, options }) {
  const [id] = useState(() => `choice-${++choices}`);
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <select id=${id} value=${value} onChange=${onChange}>
      ${options.map(([name, text]) => html`<option value=${name} selected=${name === value}>${text}</option>`)}
    </select>
  </div>`;
}

function Row({ one, onDownload, onRemove }) {
  const [asked, setAsked] = useState(false);
  const title = `${words(one.kind)}, ${FORMATS[one.format] ?? one.format}`;
  const filters = Object.entries(one.filters).map(([name, value]) => `${words(name)} ${value}`).join(", ");
  const unfinished = UNFINISHED.includes(one.status);
  return html`<tr>
    <td>
      <strong>${title}</strong>
      <div class="soft small break">${filters || "Everything"} · <${Time} at=${one.created_at} /></div>
    </td>
    <td>
      <span role="status">${words(one.status)}${one.status === "running" && ` ${one.progress} %`}</span>
      ${unfinished && html`<progress max="100" value=${one.progress} aria-label=${`Progress of ${title}`}></progress>`}
      ${one.status === "succeeded" && html`<div class="soft small">${count(one.rows, "row")}, ${size(one.bytes)}</div>`}
      ${one.error && html`<div class="wrong">${one.error}</div>`}
    </td>
    <td class="right">
      <div class="buttons end-buttons">
        ${one.status === "succeeded" && html`<button type="button" class="primary" aria-label=${`Download ${title}`} onClick=${() => onDownload(one.id)}>Download</button>`}
        ${unfinished
          ? html`<button type="button" aria-label=${`Cancel ${title}`} onClick=${() => onRemove(one.id)}>Cancel</button>`
          : html`<button type="button" class="danger-quiet" aria-label=${`Remove ${title}`} onClick=${() => (one.status === "succeeded" ? setAsked(true) : onRemove(one.id))}>Remove</button>`}
      </div>
      ${asked && html`<${Confirm} title="Remove this export?" action="Remove it" onYes=${() => onRemove(one.id)} onNo=${() => setAsked(false)}>
        <p>Its file is deleted, and links to it end.</p>
      <//>`}
    </td>
  </tr>`;
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
