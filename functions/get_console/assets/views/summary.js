// What each customer has spent, biggest first, with a bar for how much that is beside the biggest.
import { html } from "../html.js";
import { EndlessTable } from "../list.js";
import { number } from "../format.js";
import { Empty, Heading, Money } from "../parts.js";
import { may } from "../session.js";

// What the biggest spender has spent; kept as long as lists are that were left, whose first rows may be out of sight.
let most = 0;

export default function Summary() {
  return html`
    <${Heading} title="Summary" />
    <p class="lead">What each customer has spent, biggest spender first. Cancelled orders count as orders, not as spending.</p>
    <${EndlessTable}
      path="/api/orders/summary/"
      what="customers"
      columns=${5}
      head=${html`<tr>
        <th scope="col" class="right rank">Rank</th>
        <th scope="col">Customer</th>
        <th scope="col" class="right wide">Orders</th>
        <th scope="col" class="right wide">Items</th>
        <th scope="col" class="right sum">Spent</th>
      </tr>`}
      row=${(row, position) => {
        if (position === 0) most = row.total_spent_cents;
        return html`<${Row} key=${row.customer_id} row=${row} position=${position} />`;
      }}
      empty=${html`<${Empty} title="No customers yet">They appear here with their first day, also without orders.<//>`}
    />
  `;
}

function Row({ row, position }) {
  const share = most ? Math.max((row.total_spent_cents / most) * 100, row.total_spent_cents ? 0.5 : 0) : 0;
  return html`<tr>
    <td class="right soft rank">${number(position + 1)}</td>
    <td class="person-cell">
      <div class="clip">
        ${may("customers/read") ? html`<a class="row-link" href=${`#/customers/${row.customer_id}`}>${row.name}</a>` : row.name}
      </div>
      <div class="clip soft small">${row.email}</div>
      <div class="bar-track" aria-hidden="true"><div class="bar-fill" style=${{ width: `${share}%` }}></div></div>
    </td>
    <td class="right wide">${number(row.order_count)}</td>
    <td class="right wide">${number(row.item_count)}</td>
    <td class="right"><${Money} cents=${row.total_spent_cents} /></td>
  </tr>`;
}
