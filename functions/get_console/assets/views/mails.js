// The mails that a laptop keeps instead of sending them, the newest first.
import { call } from "../api.js";
import { moment } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { Empty, Failure, Heading, Loading } from "../parts.js";
import { settings } from "../settings.js";

export default function Mails() {
  const [mails, setMails] = useState(null);
  const [refusal, setRefusal] = useState(null);

  async function look() {
    setRefusal(null);
    try {
      setMails((await call("GET", settings.mails)).document.results);
    } catch (reason) {
      setRefusal(reason);
    }
  }

  useEffect(() => {
    look();
  }, []);

  return html`
    <${Heading} title="Mails"><button type="button" onClick=${look}>Look again</button><//>
    <p class="lead">The newest mails to customers. None leaves this laptop; each is a file for a mail program.</p>
    ${refusal && html`<${Failure} refusal=${refusal} onRetry=${look} />`}
    ${!mails && !refusal && html`<${Loading} what="the mails" />`}
    ${mails?.length === 0 && html`<${Empty} title="No mails yet">Customers get one when an order is created, paid, shipped, delivered or cancelled.<//>`}
    ${mails?.map((mail) => html`<${Mail} key=${mail.file} mail=${mail} />`)}
  `;
}

const Mail = ({ mail }) => html`<details class="card mail">
  <summary>
    <strong class="break">${mail.subject}</strong>${" "}
    <span class="soft small break">to ${mail.to}, ${moment(mail.at)}</span>
  </summary>
  <pre>${mail.text}</pre>
  <p class="soft small break">${mail.file}</p>
</details>`;
