// One order: its items, what may be done with it, and what happened to it.
import { call } from "../api.js";
import { cents, count, money, moment, number, whole, words } from "../format.js";
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { forgetLists, updateLists } from "../list.js";
import { Button, Confirm, Failure, Field, focusWrong, Heading, keepFocus, Loading, Money, Notice, Status, Time } from "../parts.js";
import { may } from "../session.js";
import { discard, useKeyOf, useTyped, waits } from "../typed.js";

// Primary: what usually comes next. An action that is not known here is offered by its name.
const ACTIONS = {
  pay: { label: "Mark as paid", primary: true },
  ship: { label: "Mark as shipped", primary: true },
  deliver: { label: "Mark as delivered", primary: true },
  cancel: { label: "Cancel order", danger: true },
};
const ROWS_PER_PAGE = 200;
// With more items, the history is far down on a telephone, and many presses of the tab key away.
const FEW_ITEMS = 20;
// As many are read at a time of what may be long.
const PAGES = 10;
// The statuses of mails and deliveries that will be others.
const UNSETTLED = ["queued", "pending"];
// What the status of a mail, or of a delivery to a webhook, says in the history, where it is not the status itself.
const MAIL = { queued: "is being sent", sent: "was sent", complained: "was called spam", suppressed: "was not sent", failed: "was not sent" };
const DELIVERY = { pending: "has yet to be told", succeeded: "was told", failed: "could not be told", cancelled: "was not told" };

/**
 * What a list of the order has, oldest first, as up to so many pages, each {rows, next}. before: the pages as they were read
 * before; what comes after them is new, and those at their beginning whose rows change no more are not read again.
 */
async function read(list, id, most, signal, before) {
  const changing = before.findIndex(({ rows, next }) => !next || rows.some(({ status }) => UNSETTLED.includes(status)));
  const pages = before.slice(0, changing < 0 ? before.length : changing);
  let path = pages.length ? pages.at(-1).next : `/api/orders/${id}/${list}/?limit=${ROWS_PER_PAGE}`;
  while (path && pages.length < most) {
    const { document } = await call("GET", path, { signal });
    // Only its path and query: behind a proxy, the host may be another.
    path = document.next && new URL(document.next).pathname + new URL(document.next).search;
    pages.push({ rows: document.results, next: path });
  }
  return pages;
}

const rowsOf = (pages) => pages.flatMap(({ rows }) => rows);

export default function Order({ parameters }) {
  const id = encodeURIComponent(parameters.id);
  const [known, setKnown] = useState(null);
  const [refusal, setRefusal] = useState(null);
  const [notice, setNotice] = useState(null);
  const [busy, setBusy] = useState(null);
  const [asking, setAsking] = useState(null);
  const [reading, setReading] = useState(false);
  const controller = useRef();
  const pastHeading = useRef();
  // A number for each reading and each change: what an older reading found is out of date, and not shown.
  const turns = useRef(0);
  // Whether the last attempt at a change had no answer, or none that says whether it was made.
  const unanswered = useRef(false);
  // How far somebody has read the history; it is read as far again after each change.
  const pages = useRef(PAGES);
  const lists = useRef({ events: [], mails: [], deliveries: [] });

  async function load() {
    const { signal } = controller.current;
    const turn = ++turns.current;
    const before = lists.current;
    const [{ document, etag }, events, mails, deliveries] = await Promise.all([
      call("GET", `/api/orders/${id}/`, { signal }),
      read("events", id, pages.current, signal, before.events),
      // The history is there without them.
      read("mails", id, pages.current, signal, before.mails).catch(() => before.mails),
      may("webhooks/read") ? read("webhook-deliveries", id, pages.current, signal, before.deliveries).catch(() => before.deliveries) : [],
    ]);
    const more = [events, mails, deliveries].some((pages) => pages.at(-1)?.next);
    const found = { order: document, etag, events: rowsOf(events), more, mails: rowsOf(mails), deliveries: rowsOf(deliveries) };
    if (turn === turns.current) {
      lists.current = { events, mails, deliveries };
      setKnown(found);
      updateLists("/api/orders/", document);
    }
    return found;
  }

  async function open() {
    setRefusal(null);
    try {
      await load();
    } catch (reason) {
      if (!controller.current.signal.aborted) setRefusal(reason);
    }
  }

  useEffect(() => {
    controller.current = new AbortController();
    open();
    return () => controller.current.abort();
  }, []);

  /** Makes a change of the order as it is shown. Rejects with a Refusal that the form shows whose fields the body has. */
  async function change(what, method, path, { done, ...options } = {}) {
    if (busy) return false;
    setBusy(what);
    setNotice(null);
    const before = known;
    try {
      const { document, etag } = await call(method, path, { ...options, ifMatch: known.etag });
      turns.current++;
      unanswered.current = false;
      setKnown((shown) => ({ ...shown, order: document, etag }));
      updateLists("/api/orders/", document);
      forgetLists("/api/orders/summary/");
      setNotice({ kind: "done", title: done ?? `The order is ${document.status} now.` });
      load().catch(() => {});
      return true;
    } catch (reason) {
      if (reason.status === 409 || reason.status === 412) await explain(what, before, reason);
      else {
        unanswered.current ||= reason.passing;
        if (options.body) throw reason;
        setNotice({ kind: "error", title: reason.title ?? "Failed", text: reason.message });
      }
      return false;
    } finally {
      setBusy(null);
      keepFocus();
    }
  }

  async function readOn() {
    if (reading) return;
    setReading(true);
    const before = pages.current;
    pages.current += PAGES;
    try {
      await load();
    } catch (reason) {
      pages.current = before;
      if (!controller.current.signal.aborted) setNotice({ kind: "error", title: "The history was not read on.", text: reason.message });
    } finally {
      setReading(false);
      keepFocus();
    }
  }

  /** Shows what the order is now, and what others did to it in the meantime. */
  async function explain(what, before, reason) {
    try {
      const now = await load();
      const seen = new Set(before.events.map((event) => event.id));
      const news = now.events.filter((event) => !seen.has(event.id));
      if (news.length === 0) setNotice({ kind: "error", title: `${what}: not possible.`, text: reason.message });
      else setNotice({ kind: "conflict", what, status: now.order.status, news, mine: unanswered.current });
      unanswered.current = false;
    } catch {
      setNotice({ kind: "error", title: reason.title, text: reason.message });
    }
  }

  if (refusal?.missing) {
    return html`<${Heading} title="No such order" /><p>There is no order ${parameters.id}. <a href="#/orders">All orders</a></p>`;
  }
  if (refusal) return html`<${Heading} title=${`Order ${parameters.id}`} /><${Failure} refusal=${refusal} onRetry=${open} />`;
  if (!known) return html`<${Heading} title=${`Order ${parameters.id}`} /><${Loading} what="the order" />`;

  const { order, events, more, mails, deliveries } = known;
  const labelOf = (action) => ACTIONS[action]?.label ?? words(action);
  const act = (action) => change(labelOf(action), "POST", `/api/orders/${id}/${action}/`);
  const editable = order.status === "pending" && may("orders/write");
  return html`
    <p class="back"><a href="#/orders">← Orders</a></p>
    <${Heading} title=${html`Order <span class="number">#${order.id}</span> <${Status} status=${order.status} />`}>
      ${may("orders/write") && order.allowed_actions.map((action) => {
        const { primary, danger } = ACTIONS[action] ?? {};
        return html`<${Button} key=${action} class=${primary ? "primary" : danger ? "danger-quiet" : ""} busy=${busy === labelOf(action)}
          onClick=${() => (danger ? setAsking(action) : act(action))}>${labelOf(action)}<//>`;
      })}
      ${order.items.length > FEW_ITEMS && html`<button type="button" onClick=${() => pastHeading.current.focus()}>To the history</button>`}
    <//>
    ${notice && (notice.kind === "conflict"
      ? html`<${Conflict} ...${notice} onDismiss=${() => setNotice(null)} />`
      : html`<${Notice} kind=${notice.kind} title=${notice.title} onDismiss=${() => setNotice(null)}>${notice.text}<//>`)}
    ${asking && html`<${Confirm} title=${`Cancel order #${order.id}?`} action="Cancel the order"
      onNo=${() => setAsking(null)} onYes=${() => (setAsking(null), act(asking))}>
      <p>It keeps its items and its history, but it cannot be paid, shipped or reopened.</p>
    <//>`}
    <div class="two">
      <div>
        <${Items} order=${order} editable=${editable} change=${change} id=${id}
          onLost=${(text) => setNotice({ kind: "error", title: "What you had typed is gone.", text })} />
        <${Facts} order=${order} />
      </div>
      <section aria-labelledby="history" class="card">
        <h2 id="history" tabindex="-1" ref=${pastHeading}>History</h2>
        ${more && html`<p>There are newer events, mails or deliveries than these, the oldest.</p>
          <p><${Button} busy=${reading} onClick=${readOn}>Show newer ones<//></p>`}
        <${Timeline} events=${events} mails=${mails} deliveries=${deliveries} />
      </section>
    </div>
  `;
}

/** mine: whether the attempt before this one had no answer, and may be what changed the order. */
function Conflict({ what, status, news, mine, onDismiss }) {
  return html`<${Notice} kind="conflict" title=${mine ? "The order has changed." : "Somebody was faster."} onDismiss=${onDismiss}>
    <p>${mine
      ? `“${what}” was not carried out again: the attempt before, which had no answer, may have changed the order.`
      : `“${what}” was not carried out, because the order changed while you looked at it.`} It is <${Status} status=${status} /> now:</p>
    <ul>
      ${news.map((event) => html`<li key=${event.id}><strong>${title(event)}</strong>${event.actor ? ` by ${event.actor}` : ""}, <${Time} at=${event.at} /></li>`)}
    </ul>
    <p>You see the order as it is now. Decide anew.</p>
  <//>`;
}

/** onLost(text): called with the reason if what was typed before a session that has ended has no form any more. */
function Items({ order, editable, change, id, onLost }) {
  const [editing, setEditing] = useTyped("editing", null);
  const [adding, setAdding] = useTyped("adding", false);
  useEffect(() => {
    // The forms that are shown have taken what was typed in them.
    const lost = waits();
    if (lost || !editable) setEditing(null);
    if (!editable) setAdding(false);
    if (!lost) return;
    discard();
    const closed = "The order is no longer pending, so its items cannot be changed any more.";
    onLost(order.status === "pending" ? "The item cannot be changed any more." : closed);
  }, [editable]);
  return html`<section aria-labelledby="items" class="card">
    <h2 id="items">${count(order.items.length, "item")}</h2>
    <table class="items">
      <thead>
        <tr>
          <th scope="col">SKU</th>
          <th scope="col" class="right">Quantity</th>
          <th scope="col" class="right wide">Price</th>
          <th scope="col" class="right">Sum</th>
          ${editable && html`<th scope="col"><span class="visually-hidden">Change</span></th>`}
        </tr>
      </thead>
      <tbody>
        ${order.items.map((item) =>
          editing === item.id && editable
            ? html`<tr key=${item.id}><td colspan="5"><${ItemForm} item=${item} onDone=${() => (setEditing(null), keepFocus())}
                save=${(body) => change("Save", "PATCH", `/api/orders/${id}/items/${item.id}/`, { body, done: "Item saved." })} /></td></tr>`
            : html`<tr key=${item.id}>
                <th scope="row" class="sku">${item.sku}</th>
                <td class="right">${number(item.quantity)}</td>
                <td class="right wide"><${Money} cents=${item.unit_price_cents} /></td>
                <td class="right"><${Money} cents=${BigInt(item.quantity) * BigInt(item.unit_price_cents)} /></td>
                ${editable && html`<td class="right tools">
                  <button type="button" class="plain" aria-label=${`Edit ${item.sku}`} onClick=${() => setEditing(item.id)}>Edit</button>
                  ${order.items.length > 1 && html`<button type="button" class="plain" aria-label=${`Remove ${item.sku}`}
                    onClick=${() => change("Remove", "DELETE", `/api/orders/${id}/items/${item.id}/`, { done: "Item removed." })}>Remove</button>`}
                </td>`}
              </tr>`,
        )}
      </tbody>
      <tfoot>
        <tr><th scope="row">Total</th><td></td><td class="wide"></td><td class="right total"><${Money} cents=${order.total_cents} /></td>${editable && html`<td></td>`}</tr>
      </tfoot>
    </table>
    ${editable && (adding
      ? html`<${ItemForm} onDone=${() => (setAdding(false), keepFocus())}
          save=${(body, key) => change("Add", "POST", `/api/orders/${id}/items/`, { body, key, done: "Item added." })} />`
      : html`<p><button type="button" onClick=${() => setAdding(true)}>Add an item</button></p>`)}
  </section>`;
}

/** item: the one that is changed; without it, a new one. save(body, key): resolves to whether it was saved. */
function ItemForm({ item, save, onDone }) {
  const before = { sku: "", quantity: String(item?.quantity ?? 1), price: item ? money(item.unit_price_cents) : "" };
  const name = `item ${item?.id ?? "new"}`;
  const [typed, setTyped, outdated] = useTyped(name, before, item ? `${before.quantity} × ${before.price}` : null);
  const [errors, setErrors] = useState({});
  const [refusal, setRefusal] = useState(null);
  const [busy, setBusy] = useState(false);
  const [keyOf] = useKeyOf(`key of ${name}`);
  const form = useRef();
  useEffect(() => form.current.querySelector("input").focus(), []);

  async function submit(event) {
    event.preventDefault();
    if (busy) return;
    const body = { quantity: whole(typed.quantity), unit_price_cents: cents(typed.price), ...(item ? {} : { sku: typed.sku }) };
    const wrong = {
      ...(body.quantity === null && { quantity: "must be a whole number" }),
      ...(body.unit_price_cents === null && { unit_price_cents: "must be an amount such as 12.50" }),
    };
    setErrors(wrong);
    setRefusal(null);
    if (Object.keys(wrong).length) return focusWrong(form.current);
    setBusy(true);
    try {
      if (await save(body, keyOf(body))) onDone();
    } catch (reason) {
      setErrors(reason.errors);
      if (!Object.keys(body).some((field) => field in reason.errors)) setRefusal(reason);
      focusWrong(form.current);
    } finally {
      setBusy(false);
    }
  }

  const set = (field) => (event) => setTyped({ ...typed, [field]: event.target.value });
  return html`<form class="item-form" ref=${form} onSubmit=${submit} onKeyDown=${(event) => event.key === "Escape" && onDone()}>
    ${item
      ? html`<div class="field"><span class="label">SKU</span><span class="sku">${item.sku}</span></div>`
      : html`<${Field} label="SKU" required maxlength="64" value=${typed.sku} error=${errors.sku} onInput=${set("sku")} />`}
    <${Field} label="Quantity" inputmode="numeric" required value=${typed.quantity} error=${errors.quantity} onInput=${set("quantity")} />
    <${Field} label="Price" inputmode="decimal" required placeholder="0.00" value=${typed.price} error=${errors.unit_price_cents} onInput=${set("price")} />
    <div class="buttons">
      <${Button} type="submit" class="primary" busy=${busy}>${item ? "Save" : "Add"}<//>
      <button type="button" onClick=${onDone}>Close</button>
    </div>
    ${outdated && html`<${Notice} kind="conflict" title="Changed meanwhile.">It is ${before.quantity} × ${before.price} now. Above is what you had typed.<//>`}
    ${refusal && html`<${Failure} refusal=${refusal} />`}
  </form>`;
}

function Facts({ order }) {
  const metadata = Object.entries(order.metadata ?? {});
  return html`<section aria-labelledby="facts" class="card">
    <h2 id="facts">Order</h2>
    <dl class="facts">
      <dt>Customer</dt>
      <dd class="break">
        ${may("customers/read") ? html`<a href=${`#/customers/${order.customer.id}`}>${order.customer.name}</a>` : order.customer.name}
        <div class="soft small break">${order.customer.email}</div>
      </dd>
      ${order.reference && html`<dt>Reference</dt><dd class="break">${order.reference}</dd>`}
      <dt>Created</dt>
      <dd>${moment(order.created_at)}</dd>
      <dt>Changed</dt>
      <dd>${moment(order.updated_at)}</dd>
      ${metadata.map(([name, value]) => html`<dt class="break" key=${name}>${name}</dt><dd class="break">${value}</dd>`)}
    </dl>
  </section>`;
}

// The types of orders' events say that they are about an order, which is plain here.
const title = (event) => words(event.type.replace(/^order\./, ""));

function Timeline({ events, mails, deliveries }) {
  const [most, setMost] = useState(ROWS_PER_PAGE);
  const [mailsOf, deliveriesOf] = useMemo(() => [byEvent(mails), byEvent(deliveries)], [mails, deliveries]);
  if (events.length === 0) return html`<p class="soft">Nothing is recorded: rows that seeding or SQL wrote begin without a history.</p>`;
  const older = events.length - most;
  return html`<ol class="timeline">
    ${events.slice(-most).reverse().map((event) => html`<li key=${event.id}>
      <div class="event"><strong>${title(event)}</strong> <span class="soft small"><${Time} at=${event.at} /></span></div>
      <${Changes} changes=${event.changes ?? {}} />
      ${mailsOf.get(event.id)?.map((mail) => html`<div class="soft small break" key=${mail.id}>
        The mail about it ${MAIL[mail.status] ?? mail.status}${mail.error ? `: ${mail.error}` : mail.finished_at && html`, <${Time} at=${mail.finished_at} />`}
      </div>`)}
      ${deliveriesOf.get(event.id)?.map((delivery) => html`<div class="soft small break" key=${delivery.id}>
        <a href=${`#/webhooks/${delivery.webhook_id}`}>Webhook #${delivery.webhook_id}</a>${" "}${DELIVERY[delivery.status] ?? delivery.status}${outcome(delivery)}
      </div>`)}
      <div class="soft small break">${event.actor ? `by ${event.actor} · ` : ""}Request ${event.request_id}</div>
    </li>`)}
  </ol>
  ${older > 0 && html`<p><button type="button" onClick=${() => (setMost(most + ROWS_PER_PAGE), keepFocus())}>
    Show ${count(Math.min(older, ROWS_PER_PAGE), "older event")}
  </button></p>`}`;
}

function byEvent(rows) {
  const found = new Map();
  for (const row of rows) found.set(row.event_id, [...(found.get(row.event_id) ?? []), row]);
  return found;
}

/** What came of the last attempt, if there was one. */
function outcome({ error, status_code, attempted_at }) {
  if (error || status_code >= 300) return `: ${error ?? `answered ${status_code}`}`;
  return attempted_at && html`, <${Time} at=${attempted_at} />`;
}

/** What an event says has changed, whatever it is: a pair is what it was and what it became. */
function Changes({ changes }) {
  return html`<ul class="changes">
    ${Object.entries(changes).map(([name, value]) => {
      const text = Array.isArray(value) && value.length === 2 ? became(name, ...value) : shown(name, value);
      return html`<li key=${name}><span class="soft">${words(name.replace(/_cents$/, ""))}</span> <span class="break">${text}</span></li>`;
    })}
  </ul>`;
}

const FROM_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/** A text that is written from right to left does not turn round what stands beside it, such as the arrow after it. */
const isolated = (text) => (FROM_RIGHT.test(text) ? `\u2068${text}\u2069` : text);

function became(name, before, after) {
  if (name === "metadata") return metadataBecame(before, after);
  if (before === null) return shown(name, after);
  if (after === null || typeof after !== "object") return `${shown(name, before)} → ${shown(name, after)}`;
  return fieldsOf(after, (field, value) => (value === before[field] ? shown(field, value) : became(field, before[field], value)));
}

/** The names are a client's own, and shown as they are. */
function metadataBecame(before, after) {
  const textOf = (metadata, name) => (Object.hasOwn(metadata, name) ? isolated(metadata[name]) : "nothing");
  return Object.keys({ ...before, ...after })
    .filter((name) => textOf(before, name) !== textOf(after, name))
    .map((name) => `${isolated(name)}: ${textOf(before, name)} → ${textOf(after, name)}`)
    .join(", ");
}

function shown(name, value) {
  if (value === null) return "nothing";
  if (typeof value === "number") return name.endsWith("_cents") ? money(value) : number(value);
  if (typeof value !== "object") return isolated(String(value));
  return fieldsOf(value, shown);
}

function fieldsOf(value, show) {
  const fields = Object.entries(value).filter(([name]) => name !== "id");
  return fields.map(([name, part]) => `${words(name.replace(/_cents$/, "")).toLowerCase()} ${show(name, part)}`).join(", ");
}
