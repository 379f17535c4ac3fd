// What somebody has typed outlives the end of their session: it waits in this tab's sessionStorage while they sign in again.
import { newKey } from "./api.js";
import { useEffect, useRef, useState } from "./html.js";
import * as session from "./session.js";

const KEY = "orders.typed";

// view: the address at which it was typed. person: who did. fields: name → {value, basis}.
let kept = found();

function found() {
  try {
    const { view, person, fields } = JSON.parse(sessionStorage.getItem(KEY));
    return { view, person, fields: { ...fields } };
  } catch {
    // Nothing, or nothing that can be read.
    sessionStorage.removeItem(KEY);
    return null;
  }
}

export const waits = () => kept !== null;

export function discard() {
  kept = null;
  sessionStorage.removeItem(KEY);
}

function keep(name, field) {
  const person = session.person();
  // Whoever has no name could be anybody.
  if (person === null) return;
  kept ??= { view: location.hash, person, fields: {} };
  kept.fields[name] = field;
  try {
    sessionStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // More than a browser keeps. The session ends all the same.
    discard();
  }
}

function take(name) {
  const field = kept?.fields[name];
  if (!field || !session.signedIn()) return null;
  delete kept.fields[name];
  if (Object.keys(kept.fields).length === 0) discard();
  else sessionStorage.setItem(KEY, JSON.stringify(kept));
  return field;
}

// It is for the same person in the same view, and for nobody else.
function check() {
  if (kept && session.signedIn() && (kept.view !== location.hash || kept.person !== session.person())) discard();
}

check();
session.onChange(check);
addEventListener("hashchange", check);

/**
 * As useState, for what people type. name: unique in the view. basis: of what it is a change, such as an ETag. The third part
 * says whether that is another now than when this was typed, be it before a session that has ended.
 */
export function useTyped(name, initial, basis = null) {
  const [found] = useState(() => take(name));
  const [value, setValue] = useState(found ? found.value : initial);
  const [untouched] = useState(() => JSON.stringify(found ? initial : value));
  const [typedOn] = useState(found ? found.basis : basis);
  const latest = useRef();
  latest.current = value;
  useEffect(() => session.onEnd(() => {
    if (JSON.stringify(latest.current) !== untouched) keep(name, { value: latest.current, basis: typedOn });
  }), []);
  return [value, setValue, typedOn !== basis];
}

/**
 * Gives the idempotency key for a body: the same for all attempts at it, until what it says is changed. And what is called
 * once an attempt has succeeded, where the same may be asked for again.
 */
export function useKeyOf(name = "key") {
  const [last, setLast] = useTyped(name, () => ({}));
  const keyOf = (body) => {
    const text = JSON.stringify(body);
    // Not a new state: an attempt reads it before the view is drawn again.
    if (text !== last.text) Object.assign(last, { text, key: newKey() });
    return last.key;
  };
  return [keyOf, () => setLast({})];
}
