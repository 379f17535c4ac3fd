// Fills the database with examples, and shows how far that is.
import { call } from "../api.js";
import { count, number, whole, words } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { forgetLists } from "../list.js";
import { Button, Failure, Field, focusWrong, Heading, Loading, Notice } from "../parts.js";
import { useKeyOf, useTyped } from "../typed.js";

const POLL_MS = 500;
// While the service cannot be reached.
const RETRY_MS = 2000;
const ENDED = ["succeeded", "failed", "cancelled"];
const FIELDS = [
  { name: "customers", label: "Customers", default: "1000" },
  { name: "orders_per_customer", label: "Orders per customer", default: "5" },
  { name: "items_per_order", label: "Items per order", default: "3" },
];

export default function Seed({ parameters }) {
  return parameters.id ? html`<${Run} id=${parameters.id} />` : html`<${Form} />`;
}

function Form() {
  const [texts, setTexts] = useTyped("numbers", Object.fromEntries(FIELDS.map((field) => [field.name, field.default])));
  const [errors, setErrors] = useState({});
  const [refusal, setRefusal] = useState(null);
  const [busy, setBusy] = useState(false);
  const [keyOf] = useKeyOf();

  async function submit(event) {
    event.preventDefault();
    if (busy) return;
    const body = Object.fromEntries(FIELDS.map(({ name }) => [name, whole(texts[name])]));
    const wrong = Object.fromEntries(FIELDS.filter(({ name }) => body[name] === null).map(({ name }) => [name, "must be a whole number"]));
    const [form, from] = [event.currentTarget, location.hash];
    setErrors(wrong);
    setRefusal(null);
    if (Object.keys(wrong).length) return focusWrong(form);
    setBusy(true);
    try {
      const { document } = await call("POST", "/api/dev/seed/", { body, key: keyOf(body) });
      // Unlike an order, with a way back to the form.
      if (location.hash === from) location.assign(`#/seed/${document.id}`);
    } catch (reason) {
      setErrors(reason.errors);
      if (Object.keys(reason.errors).length === 0) setRefusal(reason);
      setBusy(false);
      focusWrong(form);
    }
  }

  const [customers, orders, items] = FIELDS.map(({ name }) => whole(texts[name]));
  const rows = [customers, orders, items].includes(null) ? null : customers * (1 + orders * (1 + items));
  return html`
    <${Heading} title="Seed" />
    <p class="lead">Adds customers with orders that look like real ones. Nothing that is there is changed.</p>
    <section class="card narrow-card">
      <form onSubmit=${submit} novalidate>
        ${FIELDS.map(({ name, label }) => html`<${Field} key=${name} label=${label} inputmode="numeric" value=${texts[name]} error=${errors[name]}
          onInput=${(event) => setTexts({ ...texts, [name]: event.target.value })} />`)}
        <p class="soft" role="status">${rows === null ? "" : `${number(customers * orders)} orders; ${number(rows)} rows in all`}</p>
        ${refusal && html`<${Failure} refusal=${refusal} />`}
        <div class="buttons"><${Button} type="submit" class="primary" busy=${busy}>Start<//></div>
      </form>
    </section>
  `;
}

function Run({ id }) {
  const path = `/api/dev/seed/${encodeURIComponent(id)}/`;
  const [run, setRun] = useState(null);
  const [refusal, setRefusal] = useState(null);
  const [notice, setNotice] = useState(null);
  const timer = useRef();
  const gone = useRef(false);

  async function poll() {
    clearTimeout(timer.current);
    try {
      const { document } = await call("GET", path);
      if (gone.current) return;
      setRun(document);
      setRefusal(null);
      if (!ENDED.includes(document.status)) timer.current = setTimeout(poll, POLL_MS);
      else forgetLists("/api/orders/", "/api/customers/", "/api/orders/summary/");
    } catch (reason) {
      if (gone.current) return;
      // The first is said, and not again each time.
      setRefusal((said) => said ?? reason);
      if (reason.passing) timer.current = setTimeout(poll, RETRY_MS);
    }
  }

  useEffect(() => {
    poll();
    return () => {
      gone.current = true;
      clearTimeout(timer.current);
    };
  }, []);

  async function cancel() {
    setNotice(null);
    try {
      setRun((await call("POST", `${path}cancel/`)).document);
    } catch (reason) {
      setNotice(reason);
    }
  }

  const back = html`<p class="back"><a href="#/seed">← Seed</a></p>`;
  if (refusal?.missing) return html`${back}<${Heading} title="No such seed run" /><p>There is no seed run ${id}.</p>`;
  if (refusal && !run) return html`${back}<${Heading} title="Seed run" /><${Failure} refusal=${refusal} onRetry=${poll} />`;
  if (!run) return html`${back}<${Heading} title="Seed run" /><${Loading} what="the run" />`;
  const ended = ENDED.includes(run.status);
  const percent = run.rows_total ? Math.floor((run.rows_done / run.rows_total) * 100) : 100;
  return html`
    ${back}
    <${Heading} title="Seed run">
      ${!ended && html`<button type="button" class="danger-quiet" onClick=${cancel}>Stop</button>`}
      ${run.status === "succeeded" && html`<a class="button primary" href="#/orders">Show the orders</a>`}
    <//>
    ${notice && html`<${Notice} kind="error" title="Not stopped." onDismiss=${() => setNotice(null)}>${notice.message}<//>`}
    ${refusal && html`<${Failure} refusal=${refusal} onRetry=${poll} />`}
    <section class="card narrow-card">
      <p class="spread"><strong role="status">${words(run.status)}</strong><span class="soft">${percent} %</span></p>
      <progress max=${run.rows_total} value=${run.rows_done} aria-label="Rows written"></progress>
      <p>${number(run.rows_done)} of ${count(run.rows_total, "row")}, ${number(run.chunks_done)} of ${count(run.chunks_total, "chunk")}</p>
      ${run.error && html`<p class="wrong">${run.error}</p>`}
      <p class="soft small">${count(run.customers, "customer")} × ${count(run.orders_per_customer, "order")} × ${count(run.items_per_order, "item")}</p>
    </section>
  `;
}
