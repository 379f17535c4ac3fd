// The customers, newest first, with a search by e-mail.
import { withQuery } from "../api.js";
import { html } from "../html.js";
import { EndlessTable } from "../list.js";
import { Empty, Filter, Heading, Time } from "../parts.js";
import { may } from "../session.js";

export default function Customers({ query }) {
  const email = query.email ?? "";
  return html`
    <${Heading} title="Customers">
      ${may("customers/write") && html`<a class="button primary" href="#/customers/new">New customer</a>`}
    <//>
    <div class="filters">
      <${Filter} aria-label="E-mail contains" placeholder="Search by e-mail" maxlength="254" given=${email}
        onTyped=${(text) => location.replace(withQuery("#/customers", { email: text }))} />
    </div>
    <${EndlessTable}
      path=${withQuery("/api/customers/", { email })}
      address="#/customers"
      what="customers"
      columns=${3}
      head=${html`<tr>
        <th scope="col">Customer</th>
        <th scope="col" class="wide id">Number</th>
        <th scope="col" class="right sum">Since</th>
      </tr>`}
      row=${(customer) => html`<tr key=${customer.id}>
        <td class="person-cell">
          <div class="clip"><a class="row-link" href=${`#/customers/${customer.id}`}>${customer.name}</a></div>
          <div class="clip soft small">${customer.email}</div>
        </td>
        <td class="wide soft">${customer.id}</td>
        <td class="right soft"><${Time} at=${customer.created_at} /></td>
      </tr>`}
      empty=${email
        ? html`<${Empty} title="No customer matches"><a href="#/customers">Show all customers</a><//>`
        : html`<${Empty} title="No customers yet">${may("customers/write") && html`<a class="button primary" href="#/customers/new">Create the first one</a>`}<//>`}
    />
  `;
}
