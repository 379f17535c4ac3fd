// A new order: whose it is, and its items.
import { call, newKey, withQuery } from "../api.js";
import { cents, count, whole } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { forgetLists } from "../list.js";
import { Button, Failure, Field, focusWrong, Heading, leadOn, Money } from "../parts.js";
import { may } from "../session.js";
import { useKeyOf, useTyped } from "../typed.js";

const MOST_ITEMS = 500;
const PAUSE_MS = 200;
const MOST_FOUND = 8;

const blank = () => ({ id: newKey(), sku: "", quantity: "1", price: "" });

export default function NewOrder({ query }) {
  const [customer, setCustomer] = useTyped("customer", query.customer_id ? { id: Number(query.customer_id) } : null);
  const [items, setItems] = useTyped("items", () => [blank()]);
  const [errors, setErrors] = useState({});
  const [refusal, setRefusal] = useState(null);
  const [busy, setBusy] = useState(false);
  const [keyOf] = useKeyOf();
  const last = useRef();

  useEffect(() => {
    if (!customer || customer.name !== undefined || !may("customers/read")) return;
    call("GET", `/api/customers/${encodeURIComponent(customer.id)}/`).then(({ document }) => setCustomer(document), (reason) => {
      setCustomer(null);
      setErrors({ customer_id: reason.message });
    });
  }, []);

  const change = (id, field) => (event) => setItems(items.map((item) => (item.id === id ? { ...item, [field]: event.target.value } : item)));

  function pick(one) {
    setCustomer(one);
    setErrors({ ...errors, customer_id: undefined });
  }

  function remove(item) {
    setItems(items.filter(({ id }) => id !== item.id));
    // Those of items name them by their place.
    setErrors({ customer_id: errors.customer_id });
  }

  function add() {
    setItems([...items, blank()]);
    requestAnimationFrame(() => last.current?.querySelector("input").focus());
  }

  async function submit(event) {
    event.preventDefault();
    if (busy) return;
    const wrong = customer ? {} : { customer_id: "choose a customer" };
    const lines = items.map((item, at) => {
      const line = { sku: item.sku, quantity: whole(item.quantity), unit_price_cents: cents(item.price) };
      if (line.quantity === null) wrong[`items.${at}.quantity`] = "must be a whole number";
      if (line.unit_price_cents === null) wrong[`items.${at}.unit_price_cents`] = "must be an amount such as 12.50";
      return line;
    });
    const [form, from] = [event.currentTarget, location.hash];
    setErrors(wrong);
    setRefusal(null);
    if (Object.keys(wrong).length) return focusWrong(form);
    const body = { customer_id: customer.id, items: lines };
    setBusy(true);
    try {
      const { document } = await call("POST", "/api/orders/", { body, key: keyOf(body) });
      forgetLists("/api/orders/", "/api/orders/summary/");
      leadOn(from, `#/orders/${document.id}`);
    } catch (reason) {
      setErrors(reason.errors);
      if (Object.keys(reason.errors).length === 0) setRefusal(reason);
      setBusy(false);
      focusWrong(form);
    }
  }

  const sums = items.map((item) => [whole(item.quantity), cents(item.price)]);
  const total = sums.reduce((sum, [quantity, price]) => (quantity === null || price === null ? sum : sum + BigInt(quantity) * BigInt(price)), 0n);
  return html`
    <p class="back"><a href="#/orders">← Orders</a></p>
    <${Heading} title="New order" />
    <form onSubmit=${submit} novalidate>
      <section class="card" aria-labelledby="whose">
        <h2 id="whose">Customer</h2>
        <${Picker} customer=${customer} error=${errors.customer_id} onPick=${pick} />
      </section>
      <section class="card" aria-labelledby="what">
        <h2 id="what">${count(items.length, "item")}</h2>
        ${items.map((item, at) => html`<fieldset class="item-form" key=${item.id} ref=${at === items.length - 1 ? last : undefined}>
          <legend class="visually-hidden">Item ${at + 1}</legend>
          <${Field} label="SKU" maxlength="64" value=${item.sku} error=${errors[`items.${at}.sku`]} onInput=${change(item.id, "sku")} />
          <${Field} label="Quantity" inputmode="numeric" value=${item.quantity} error=${errors[`items.${at}.quantity`]} onInput=${change(item.id, "quantity")} />
          <${Field} label="Price" inputmode="decimal" placeholder="0.00" value=${item.price} error=${errors[`items.${at}.unit_price_cents`]} onInput=${change(item.id, "price")} />
          <div class="buttons">
            ${items.length > 1 && html`<button type="button" aria-label=${`Remove item ${at + 1}`} onClick=${() => remove(item)}>Remove</button>`}
          </div>
        </fieldset>`)}
        <p class="spread">
          ${items.length < MOST_ITEMS && html`<button type="button" onClick=${add}>Add an item</button>`}
          <span class="total" role="status">Total <${Money} cents=${total} /></span>
        </p>
      </section>
      ${refusal && html`<${Failure} refusal=${refusal} />`}
      <div class="buttons"><${Button} type="submit" class="primary" busy=${busy}>Create order<//></div>
    </form>
  `;
}

/** Finds a customer by a part of the address. Whoever may not read customers knows the number. */
function Picker({ customer, error, onPick }) {
  const [text, setText] = useTyped("search", "");
  const [found, setFound] = useState(null);
  const [failed, setFailed] = useState(null);
  const timer = useRef();
  const asked = useRef(0);
  const place = useRef();
  useEffect(() => () => clearTimeout(timer.current), []);
  // What was pressed to pick or to choose again is gone then.
  const chosen = customer !== null;
  const before = useRef(chosen);
  useEffect(() => {
    if (before.current !== chosen) place.current?.querySelector("button, input").focus();
    before.current = chosen;
  }, [chosen]);

  if (!may("customers/read")) {
    return html`<${Field} label="Customer’s number" inputmode="numeric" value=${customer?.id ?? ""} error=${error}
      onInput=${(event) => onPick(whole(event.target.value) ? { id: whole(event.target.value) } : null)} />`;
  }
  if (customer) {
    return html`<div class="spread" ref=${place}>
      <div class="person-cell"><strong class="break">${customer.name ?? `Customer ${customer.id}`}</strong><div class="soft small break">${customer.email}</div>
        ${error && html`<p class="wrong">${error}</p>`}</div>
      <button type="button" onClick=${() => (onPick(null), setFound(null), setText(""))}>Choose another</button>
    </div>`;
  }

  function typed(event) {
    const value = event.target.value;
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => search(value), PAUSE_MS);
  }

  async function search(value) {
    const number = ++asked.current;
    setFailed(null);
    try {
      const { document } = await call("GET", withQuery("/api/customers/", { email: value.trim(), limit: MOST_FOUND }));
      if (number === asked.current) setFound(document.results);
    } catch (reason) {
      if (number === asked.current) setFailed(reason);
    }
  }

  return html`<div ref=${place}>
    <${Field} label="E-mail contains" type="search" maxlength="254" autocomplete="off" value=${text} error=${error} onInput=${typed} onFocus=${() => found ?? search(text)} />
    ${failed && html`<${Failure} refusal=${failed} />`}
    <div role="status" class="visually-hidden">${found ? `${count(found.length, "customer")} found` : ""}</div>
    ${found && html`<ul class="found">
      ${found.map((one) => html`<li key=${one.id}><button type="button" onClick=${() => onPick(one)}>
        <span class="clip">${one.name}</span><span class="clip soft small">${one.email}</span>
      </button></li>`)}
      ${found.length === 0 && html`<li class="soft">No customer matches${may("customers/write") && html`; <a href="#/customers/new">create one</a>`}.</li>`}
    </ul>`}
  </div>`;
}
