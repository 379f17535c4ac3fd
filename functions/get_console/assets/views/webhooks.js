// Webhooks: who is told of events, what was delivered and what was not, and delivering it again.
import { call } from "../api.js";
import { moment, number, words } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { EndlessTable, forgetLists } from "../list.js";
import { Button, Confirm, Empty, Failure, Field, focusWrong, Heading, leadOn, Loading, Notice, Time, keepFocus } from "../parts.js";
import { may } from "../session.js";
import { useKeyOf, useTyped } from "../typed.js";

const pathOf = (id) => `/api/webhooks/${encodeURIComponent(id)}/`;
const COLOURS = { succeeded: "delivered", pending: "pending" };
const Outcome = ({ status }) => html`<span class=${`status ${COLOURS[status] ?? ""}`}>${words(status)}</span>`;
const State = ({ webhook }) => {
  const [colour, text] = !webhook.enabled ? ["", "Disabled"] : webhook.failing_since ? ["pending", "Failing"] : ["delivered", "Enabled"];
  return html`<span class=${`status ${colour}`}>${text}</span>`;
};

export default function Webhooks({ parameters }) {
  return parameters.id ? html`<${Webhook} id=${parameters.id} />` : html`<${List} />`;
}

function List() {
  const [made, setMade] = useState(null);
  return html`
    <${Heading} title="Webhooks" />
    <p class="lead">Each event is posted to those that want its type, signed, until the receiver answers.</p>
    ${made && html`<${Secret} webhook=${made} onDismiss=${() => setMade(null)} />`}
    ${may("webhooks/write") && html`<${Form} onMade=${(webhook) => (forgetLists("/api/webhooks/"), setMade(webhook))} />`}
    <${EndlessTable}
      key=${made?.id}
      path="/api/webhooks/"
      what="webhooks"
      columns=${3}
      head=${html`<tr>
        <th scope="col">Webhook</th>
        <th scope="col">Status</th>
        <th scope="col" class="right">Since</th>
      </tr>`}
      row=${(webhook) => html`<tr key=${webhook.id}>
        <td class="person-cell">
          <div class="break"><a class="row-link" href=${`#/webhooks/${webhook.id}`}>${webhook.url}</a></div>
          <div class="break soft small">${webhook.description || types(webhook)}</div>
        </td>
        <td><${State} webhook=${webhook} /></td>
        <td class="right soft"><${Time} at=${webhook.created_at} /></td>
      </tr>`}
      empty=${html`<${Empty} title="No webhooks yet">Nobody is told of events; they can be read from the feed.<//>`}
    />
  `;
}

const types = ({ types }) => (types.includes("*") ? "All events" : types.join(", "));

function Secret({ webhook, onDismiss }) {
  return html`<${Notice} kind="done" title="This is its secret, shown this one time:" onDismiss=${onDismiss}>
    <div class="break"><code>${webhook.secret ?? "It was shown before; give the webhook a new one."}</code></div>
  <//>`;
}

function Form({ onMade }) {
  const [url, setUrl] = useTyped("url", "");
  const [wanted, setWanted] = useTyped("types", "*");
  const [description, setDescription] = useTyped("description", "");
  const [errors, setErrors] = useState({});
  const [refusal, setRefusal] = useState(null);
  const [busy, setBusy] = useState(false);
  const [keyOf, renewKey] = useKeyOf();
  const set = (change) => (event) => change(event.target.value);

  async function submit(event) {
    event.preventDefault();
    if (busy) return;
    const form = event.currentTarget;
    setBusy(true);
    setErrors({});
    setRefusal(null);
    try {
      const body = { url: url.trim(), types: wanted.split(/[\s,]+/).filter(Boolean), description };
      const { document } = await call("POST", "/api/webhooks/", { body, key: keyOf(body) });
      renewKey();
      setUrl("");
      onMade(document);
    } catch (reason) {
      const ofTypes = Object.entries(reason.errors).find(([name]) => name.startsWith("types"));
      setErrors({ ...reason.errors, ...(ofTypes && { types: ofTypes[1] }) });
      if (Object.keys(reason.errors).length === 0) setRefusal(reason);
      focusWrong(form);
    }
    setBusy(false);
  }

  return html`<section class="card" aria-labelledby="new-webhook">
    <h2 id="new-webhook">New webhook</h2>
    <form onSubmit=${submit} novalidate>
      <${Field} label="URL" type="url" name="url" autocomplete="off" maxlength="2000" value=${url} error=${errors.url} onInput=${set(setUrl)} />
      <${Field} label="Types" name="types" autocomplete="off" hint="Such as order.paid, separated by commas; * for all" value=${wanted}
        error=${errors.types} onInput=${set(setWanted)} />
      <${Field} label="Description" name="description" autocomplete="off" maxlength="500" value=${description} error=${errors.description}
        onInput=${set(setDescription)} />
      ${refusal && html`<${Failure} refusal=${refusal} />`}
      <div class="buttons"><${Button} type="submit" class="primary" busy=${busy}>Create<//></div>
    </form>
  </section>`;
}

function Webhook({ id }) {
  const path = pathOf(id);
  const deliveries = `${path}deliveries/`;
  const [webhook, setWebhook] = useState(null);
  const [refusal, setRefusal] = useState(null);
  const [notice, setNotice] = useState(null);
  const [secret, setSecret] = useState(null);
  const [asking, setAsking] = useState(false);
  const [walk, setWalk] = useState(0);

  async function look() {
    setRefusal(null);
    try {
      setWebhook((await call("GET", path)).document);
    } catch (reason) {
      setRefusal(reason);
    }
  }

  useEffect(() => {
    look();
  }, []);

  /** The list of deliveries begins anew. */
  function refresh() {
    forgetLists(deliveries);
    setWalk((number) => number + 1);
    return look();
  }

  async function attempt(action, title) {
    setNotice(null);
    try {
      await action();
    } catch (reason) {
      setNotice({ title, message: reason.message });
    }
    await refresh();
    keepFocus();
  }

  const again = (delivery) => attempt(() => call("POST", `${deliveries}${delivery.id}/retry/`), "Not delivered again.");
  const enable = (enabled) => attempt(() => call("PATCH", path, { body: { enabled } }), "Not changed.");
  const rotate = () => attempt(async () => setSecret((await call("POST", `${path}rotate-secret/`)).document), "No new secret.");

  async function remove() {
    setAsking(false);
    const from = location.hash;
    try {
      await call("DELETE", path);
      forgetLists("/api/webhooks/");
      leadOn(from, "#/webhooks");
    } catch (reason) {
      setNotice({ title: "Not deleted.", message: reason.message });
    }
  }

  const back = html`<p class="back"><a href="#/webhooks">← Webhooks</a></p>`;
  if (refusal?.missing && !webhook) return html`${back}<${Heading} title="No such webhook" /><p>There is no webhook ${id}.</p>`;
  if (refusal && !webhook) return html`${back}<${Heading} title="Webhook" /><${Failure} refusal=${refusal} onRetry=${look} />`;
  if (!webhook) return html`${back}<${Heading} title="Webhook" /><${Loading} what="the webhook" />`;
  return html`
    ${back}
    <${Heading} title=${html`Webhook <span class="number">#${webhook.id}</span> <${State} webhook=${webhook} />`}>
      ${may("webhooks/write") && html`
        ${webhook.enabled && html`<button type="button" onClick=${() => attempt(() => call("POST", `${path}test/`), "Not sent.")}>Send a test</button>`}
        <button type="button" onClick=${() => enable(!webhook.enabled)}>${webhook.enabled ? "Disable" : "Enable"}</button>
        <button type="button" onClick=${rotate}>New secret</button>
        <button type="button" class="danger-quiet" onClick=${() => setAsking(true)}>Delete</button>
      `}
    <//>
    ${notice && html`<${Notice} kind="error" title=${notice.title} onDismiss=${() => setNotice(null)}>${notice.message}<//>`}
    ${secret && html`<${Secret} webhook=${secret} onDismiss=${() => setSecret(null)} />`}
    ${asking && html`<${Confirm} title="Delete this webhook?" action="Delete it" onNo=${() => setAsking(false)} onYes=${remove}>
      <p>What has not been delivered yet will not be.</p>
    <//>`}
    <section aria-labelledby="facts" class="card">
      <h2 id="facts" class="visually-hidden">What it is</h2>
      <dl class="facts">
        <dt>URL</dt><dd class="break">${webhook.url}</dd>
        <dt>Types</dt><dd class="break">${types(webhook)}</dd>
        ${webhook.description && html`<dt>For</dt><dd class="break">${webhook.description}</dd>`}
        <dt>Created</dt><dd>${moment(webhook.created_at)}</dd>
        ${webhook.failing_since && html`<dt>Failing since</dt><dd>${moment(webhook.failing_since)}, ${number(webhook.failures)} times</dd>`}
        ${webhook.disabled_reason && html`<dt>Disabled</dt><dd>${webhook.disabled_reason}</dd>`}
      </dl>
    </section>
    <div class="spread"><h2>Deliveries</h2><button type="button" onClick=${refresh}>Look again</button></div>
    <${EndlessTable}
      key=${walk}
      path=${deliveries}
      what="deliveries"
      columns=${3}
      head=${html`<tr>
        <th scope="col">Event</th>
        <th scope="col">Status</th>
        <th scope="col" class="right sum">Actions</th>
      </tr>`}
      row=${(delivery) => html`<${Delivery} key=${delivery.id} delivery=${delivery} onAgain=${webhook.enabled && again} />`}
      empty=${html`<${Empty} title="Nothing was delivered yet">Send a test, or wait for an event.<//>`}
    />
  `;
}

function Delivery({ delivery, onAgain }) {
  const { status, status_code, answer, error, attempts, next_attempt_at } = delivery;
  return html`<tr>
    <td>
      <strong>${words(delivery.type)}</strong>
      <div class="soft small break">${delivery.event_id === null ? "" : `Event ${delivery.event_id} · `}<${Time} at=${delivery.created_at} /></div>
    </td>
    <td>
      <${Outcome} status=${status} /> <span class="soft small">${number(attempts)}×${status_code === null ? "" : ` · ${status_code}`}</span>
      ${error && html`<div class="wrong">${error}</div>`}
      ${answer && html`<div class="soft small break">${answer}</div>`}
      ${status === "pending" && attempts > 0 && next_attempt_at && html`<div class="soft small">Again <${Time} at=${next_attempt_at} /></div>`}
    </td>
    <td class="right">
      ${onAgain && may("webhooks/write") && html`<button type="button" aria-label=${`Redeliver ${delivery.id}`} onClick=${() => onAgain(delivery)}>Redeliver</button>`}
    </td>
  </tr>`;
}
