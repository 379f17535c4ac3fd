// One customer: name and address, which can be changed, and the way to their orders. Without an id, a new one.
import { call } from "../api.js";
import { moment } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { forgetLists } from "../list.js";
import { Button, Confirm, Failure, Field, focusWrong, Heading, leadOn, Loading, Notice } from "../parts.js";
import { may } from "../session.js";
import { useKeyOf, useTyped } from "../typed.js";

// Every list that shows customers by name.
const SHOWING = ["/api/customers/", "/api/orders/", "/api/orders/summary/"];

export default function Customer({ parameters }) {
  return parameters.id === undefined ? html`<${New} />` : html`<${Existing} id=${parameters.id} />`;
}

function New() {
  const [keyOf] = useKeyOf();
  async function save(body) {
    const from = location.hash;
    const { document } = await call("POST", "/api/customers/", { body, key: keyOf(body) });
    forgetLists(...SHOWING);
    leadOn(from, `#/customers/${document.id}`);
  }
  return html`
    <p class="back"><a href="#/customers">← Customers</a></p>
    <${Heading} title="New customer" />
    <section class="card narrow-card"><${Form} customer=${{ name: "", email: "" }} action="Create customer" save=${save} /></section>
  `;
}

function Existing({ id }) {
  const path = `/api/customers/${encodeURIComponent(id)}/`;
  const [known, setKnown] = useState(null);
  const [refusal, setRefusal] = useState(null);
  const [notice, setNotice] = useState(null);
  const [asking, setAsking] = useState(false);

  async function load() {
    setRefusal(null);
    try {
      const { document, etag } = await call("GET", path);
      setKnown({ customer: document, etag });
      return document;
    } catch (reason) {
      setRefusal(reason);
      return null;
    }
  }
  useEffect(() => void load(), []);

  async function save(body) {
    setNotice(null);
    try {
      const { document, etag } = await call("PATCH", path, { body, ifMatch: known.etag });
      setKnown({ customer: document, etag });
      forgetLists(...SHOWING);
      setNotice({ kind: "done", title: "Saved." });
    } catch (reason) {
      if (reason.status !== 412) throw reason;
      const now = await load();
      forgetLists(...SHOWING);
      // The answer to an attempt before this one was lost.
      if (now?.name === body.name && now.email === body.email) setNotice({ kind: "done", title: "Saved." });
      else setNotice({ kind: "conflict", title: "Somebody was faster.", text: "The customer was changed while you looked at it; nothing of yours was saved. You see the customer as it is now." });
    }
  }

  async function remove() {
    setAsking(false);
    setNotice(null);
    try {
      const from = location.hash;
      await call("DELETE", path, { ifMatch: known.etag });
      forgetLists(...SHOWING);
      leadOn(from, "#/customers");
    } catch (reason) {
      if (reason.status === 412) await load();
      setNotice({ kind: reason.status === 409 || reason.status === 412 ? "conflict" : "error", title: "Not deleted.", text: reason.message });
    }
  }

  const back = html`<p class="back"><a href="#/customers">← Customers</a></p>`;
  if (refusal?.missing) return html`${back}<${Heading} title="No such customer" /><p>There is no customer ${id}.</p>`;
  if (refusal) return html`${back}<${Heading} title=${`Customer ${id}`} /><${Failure} refusal=${refusal} onRetry=${load} />`;
  if (!known) return html`${back}<${Heading} title=${`Customer ${id}`} /><${Loading} what="the customer" />`;

  const { customer, etag } = known;
  return html`
    ${back}
    <${Heading} title=${html`<span class="break">${customer.name}</span>`}>
      ${may("orders/read") && html`<a class="button" href=${`#/orders?customer_id=${customer.id}`}>Orders</a>`}
      ${may("orders/write") && html`<a class="button primary" href=${`#/orders/new?customer_id=${customer.id}`}>New order</a>`}
    <//>
    ${notice && html`<${Notice} kind=${notice.kind} title=${notice.title} onDismiss=${() => setNotice(null)}>${notice.text}<//>`}
    ${asking && html`<${Confirm} title="Delete this customer?" action="Delete the customer" onYes=${remove} onNo=${() => setAsking(false)}>
      <p class="break">${customer.name}, ${customer.email}. This cannot be undone. A customer that has orders stays.</p>
    <//>`}
    <section class="card narrow-card">
      <dl class="facts">
        <dt>Number</dt><dd>${customer.id}</dd>
        <dt>Since</dt><dd>${moment(customer.created_at)}</dd>
        ${!may("customers/write") && html`<dt>E-mail</dt><dd class="break">${customer.email}</dd>`}
      </dl>
      ${may("customers/write") && html`<${Form} key=${etag} customer=${customer} etag=${etag} action="Save" save=${save}>
        <button type="button" class="danger-quiet" onClick=${() => setAsking(true)}>Delete</button>
      <//>`}
    </section>
  `;
}

/** etag: of the customer as it is. save(body): rejects with a Refusal. children: further buttons. */
function Form({ customer, etag, action, save, children }) {
  const [fields, setFields, outdated] = useTyped("customer", { name: customer.name, email: customer.email }, etag);
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState(null);

  async function submit(event) {
    event.preventDefault();
    if (busy) return;
    const form = event.currentTarget;
    setBusy(true);
    setRefusal(null);
    try {
      await save(fields);
    } catch (reason) {
      setRefusal(reason);
      focusWrong(form);
    } finally {
      setBusy(false);
    }
  }

  const set = (name) => (event) => setFields({ ...fields, [name]: event.target.value });
  const errors = refusal?.errors ?? {};
  const elsewhere = refusal && !errors.name && !errors.email;
  return html`<form onSubmit=${submit} novalidate>
    ${outdated && html`<${Notice} kind="conflict" title="Changed meanwhile.">
      It is <span class="break">${customer.name}, ${customer.email}</span> now. Below is what you had typed.<//>`}
    <${Field} label="Name" name="name" maxlength="200" required value=${fields.name} error=${errors.name} onInput=${set("name")} />
    <${Field} label="E-mail" name="email" type="email" maxlength="254" required value=${fields.email} error=${errors.email} onInput=${set("email")} />
    ${elsewhere && html`<${Failure} refusal=${refusal} />`}
    <div class="buttons"><${Button} type="submit" class="primary" busy=${busy}>${action}<//>${children}</div>
  </form>`;
}
