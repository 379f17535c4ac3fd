// What several views show.
import { moment, money, relative, words } from "./format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

// Longer ones may be broken: the largest amounts are wider than a telephone, and than their column.
const WHOLE_CHARACTERS = 14;

/** An amount; a long one goes on in the next line, after a comma, where there is no room for it. */
export function Money({ cents }) {
  const text = money(cents);
  const parts = text.length > WHOLE_CHARACTERS ? text.split(/(?<=,)/) : [text];
  return html`<span class="number">${parts.map((part, at) => [at > 0 && html`<wbr />`, part])}</span>`;
}

export const Status = ({ status }) => html`<span class=${`status ${status}`}>${words(status)}</span>`;

/** How long ago; the title has the moment. */
export function Time({ at }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  return html`<time datetime=${at} title=${moment(at)}>${relative(at, now)}</time>`;
}

/** kind: error, conflict or done. Reads itself out. */
export function Notice({ kind, title, children, onDismiss }) {
  const place = useRef();
  useLayoutEffect(() => {
    // Somebody may have pressed a button far below.
    if (kind !== "done") place.current.scrollIntoView({ block: "nearest", behavior: "instant" });
  }, []);
  return html`<div ref=${place} class=${`notice ${kind}`} role=${kind === "done" ? "status" : "alert"}>
    <div><strong>${title}</strong> ${children}</div>
    ${onDismiss && html`<button type="button" class="plain" aria-label="Dismiss this message" onClick=${onDismiss}>✕</button>`}
  </div>`;
}

/** A refusal in words, and with onRetry a way to try again. children: what else helps. */
export function Failure({ refusal, onRetry, children }) {
  return html`<div class="notice error" role="alert">
    <div>
      <strong>${refusal.title}.</strong> ${refusal.message}
      ${refusal.requestId && html`<div class="soft small">Request ${refusal.requestId}</div>`}
    </div>
    ${children}
    ${onRetry && html`<button type="button" onClick=${onRetry}>Try again</button>`}
  </div>`;
}

let fields = 0;

/** An input with its label, and what is wrong with it. */
export function Field({ label, error, hint, hiddenLabel, ...input }) {
  const [id] = useState(() => `field-${++fields}`);
  const described = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ");
  return html`<div class="field">
    <label for=${id} class=${hiddenLabel ? "visually-hidden" : ""}>${label}</label>
    <input id=${id} aria-invalid=${error ? "true" : undefined} aria-describedby=${described || undefined} ...${input} />
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="wrong" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}

const PAUSE_MS = 250;

/** A filter that the address follows after a pause. given: what the address says. onTyped(text): changes the address. */
export function Filter({ given, onTyped, ...input }) {
  const [text, setText] = useState(given);
  const timer = useRef(null);
  // As it is after the pause: another filter may have been chosen since.
  const latest = useRef();
  latest.current = onTyped;
  useEffect(() => {
    // An address that is about to be changed is behind what is typed.
    if (timer.current === null) setText(given);
  }, [given]);
  useEffect(() => () => clearTimeout(timer.current), []);
  function typed(event) {
    const value = event.target.value;
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      timer.current = null;
      latest.current(value);
    }, PAUSE_MS);
  }
  return html`<input type="search" value=${text} onInput=${typed} autocomplete="off" spellcheck=${false} ...${input} />`;
}

/** A button that waits for what it started. */
export function Button({ busy, children, ...rest }) {
  return html`<button type="button" aria-disabled=${busy ? "true" : undefined} ...${rest}>
    ${busy && html`<span class="spinner" aria-hidden="true"></span>`}${children}
  </button>`;
}

/** A question that has to be answered first. */
export function Confirm({ title, children, action, onYes, onNo }) {
  const dialog = useRef();
  useLayoutEffect(() => {
    dialog.current.showModal();
  }, []);
  // Closed by the browser, the dialog gives the focus back to where it was.
  const close = (answer) => () => dialog.current.close(answer);
  const closed = () => (dialog.current.returnValue === "yes" ? onYes() : onNo());
  return html`<dialog ref=${dialog} aria-labelledby="confirm-title" onClose=${closed}>
    <h2 id="confirm-title">${title}</h2>
    <div>${children}</div>
    <div class="buttons">
      <button type="button" onClick=${close("no")} autofocus>Keep it</button>
      <button type="button" class="danger" onClick=${close("yes")}>${action}</button>
    </div>
  </dialog>`;
}

/** After something that may remove the element with the focus: the heading of the view then gets it. */
export function keepFocus() {
  requestAnimationFrame(() => {
    if (document.activeElement === document.body) focusHeading();
  });
}

export function focusHeading() {
  document.querySelector("main h1")?.focus({ preventScroll: true });
}

/** After a form was refused: its first wrong field gets the focus. */
export function focusWrong(form) {
  requestAnimationFrame(() => form.querySelector("[aria-invalid]")?.focus());
}

/** Leads on to another view, unless somebody has gone elsewhere since from, the address at which they began. */
export function leadOn(from, to) {
  if (location.hash === from) location.replace(to);
}

export const Empty = ({ title, children }) => html`<div class="empty"><h2>${title}</h2><div>${children}</div></div>`;

export const Loading = ({ what }) => html`<p class="loading" role="status"><span class="spinner" aria-hidden="true"></span> Loading ${what} …</p>`;

/** The heading of a view, which gets the focus when the view is opened, and its buttons. */
export const Heading = ({ title, children }) => html`<div class="heading"><h1 tabindex="-1">${title}</h1><div class="buttons">${children}</div></div>`;
