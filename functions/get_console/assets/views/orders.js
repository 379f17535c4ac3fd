// The orders, newest first, with their filters.
import { withQuery } from "../api.js";
import { html, useState } from "../html.js";
import { EndlessTable, forgetLists } from "../list.js";
import { number, words } from "../format.js";
import { Empty, Filter, Heading, Money, Status, Time } from "../parts.js";
import { may } from "../session.js";
import { settings } from "../settings.js";

// Those that fit into their column on a telephone; after a restore they have 16 digits.
const LARGEST_SHORT = 9_999_999;
const STATUSES = ["pending", "paid", "shipped", "delivered", "cancelled"];
// The filters that somebody types, where the list of this deployment takes them.
const TYPED = [
  { name: "email", label: "E-mail contains", placeholder: "Filter by e-mail", maxlength: 254 },
  { name: "reference", label: "Reference", placeholder: "Reference", maxlength: 64 },
].filter(({ name }) => settings.order_filters.includes(name));

export default function Orders({ query }) {
  const [round, setRound] = useState(0);
  const { status, customer_id } = query;
  const filters = { status, customer_id, ...Object.fromEntries(TYPED.map(({ name }) => [name, query[name]])) };
  const filtered = Object.values(filters).some(Boolean);
  function refresh() {
    setRound(round + 1);
    forgetLists("/api/orders/");
  }
  return html`
    <${Heading} title="Orders">
      <button type="button" onClick=${refresh}>Refresh</button>
      ${settings.links.exports && may("exports/write") && html`<a class="button" href=${withQuery("#/exports", { kind: "orders", ...filters })}>Export</a>`}
      ${may("orders/write") && html`<a class="button primary" href="#/orders/new">New order</a>`}
    <//>
    <div class="filters">
      <nav class="pills" aria-label="Filter by status">
        ${[undefined, ...STATUSES].map(
          (wanted) => html`<a href=${withQuery("#/orders", { ...filters, status: wanted })} aria-current=${status === wanted ? "true" : undefined}>
            ${wanted ? words(wanted) : "All"}
          </a>`,
        )}
      </nav>
      ${TYPED.map(({ name, label, placeholder, maxlength }) => html`<${Filter} key=${name} aria-label=${label} placeholder=${placeholder}
        maxlength=${maxlength} given=${filters[name] ?? ""} onTyped=${(text) => location.replace(withQuery("#/orders", { ...filters, [name]: text }))} />`)}
    </div>
    ${customer_id && html`<p class="chips">Only orders of <a href=${`#/customers/${encodeURIComponent(customer_id)}`}>customer ${customer_id}</a>${" "}
      · <a href=${withQuery("#/orders", { ...filters, customer_id: undefined })}>show all</a></p>`}
    <${EndlessTable}
      key=${round}
      path=${withQuery("/api/orders/", filters)}
      address="#/orders"
      what="orders"
      columns=${5}
      head=${html`<tr>
        <th scope="col" class="id">Order</th>
        <th scope="col">Customer</th>
        <th scope="col" class="wide">Status</th>
        <th scope="col" class="right wide">Items</th>
        <th scope="col" class="right sum">Total</th>
      </tr>`}
      row=${(order) => html`<${Row} key=${order.id} order=${order} />`}
      empty=${filtered
        ? html`<${Empty} title="No order matches"><a href="#/orders">Show all orders</a><//>`
        : html`<${Empty} title="No orders yet">
            ${may("orders/write") && html`<a class="button primary" href="#/orders/new">Create the first one</a>`}
            ${settings.links.seed && may("dev/seed") && html`<a class="button" href="#/seed">Fill the database with examples</a>`}
          <//>`}
    />
  `;
}

function Row({ order }) {
  const quantity = order.items.length;
  return html`<tr class=${order.id > LARGEST_SHORT ? "long" : ""}>
    <td class="first">
      <a class="row-link" href=${`#/orders/${order.id}`} aria-label=${`Order ${order.id}`}>#${order.id}</a>
      <div class="soft small"><${Time} at=${order.created_at} /></div>
    </td>
    <td class="person-cell">
      <div class="clip">${order.customer.name}</div>
      <div class="clip soft small">${order.customer.email}</div>
    </td>
    <td class="wide"><${Status} status=${order.status} /></td>
    <td class="right wide">${number(quantity)}</td>
    <td class="right"><${Money} cents=${order.total_cents} /><div class="narrow"><${Status} status=${order.status} /></div></td>
  </tr>`;
}
