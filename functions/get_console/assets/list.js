// A list without an end. However far somebody goes, the page holds the same few hundred rows: what scrolls out of sight is
// dropped, and fetched again by its cursor when it is needed.
import { call, withQuery } from "./api.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { number } from "./format.js";
import { Failure, focusHeading } from "./parts.js";

const ROWS_PER_PAGE = 50;
const MOST_PAGES = 6;
// How far from the end of what is there the next page is fetched.
const AHEAD = "800px";
// Lists that were left for one of their rows, and will be come back to.
const left = new Map();
const MOST_LEFT = 8;

/** One walk through a list. pages: those in view, each {number, first, rows}; first: how many rows are before it. */
class Walk {
  constructor(path) {
    this.path = path;
    this.begin();
  }

  begin() {
    this.pages = [];
    // Where each page begins: cursors[0] is the beginning.
    this.cursors = [null];
    this.firsts = [0];
    this.scroll = 0;
  }

  get hasNewer() {
    return this.pages.length > 0 && this.pages[0].number > 0;
  }

  get hasOlder() {
    return this.pages.length === 0 || this.cursors.length > this.pages.at(-1).number + 1;
  }

  get end() {
    return this.pages.length ? this.pages.at(-1).first + this.pages.at(-1).rows.length : 0;
  }

  async fetch(page, signal) {
    const path = withQuery(this.path, { limit: ROWS_PER_PAGE, cursor: this.cursors[page] });
    const { document } = await call("GET", path, { signal });
    if (document.next_cursor !== null) {
      this.cursors[page + 1] = document.next_cursor;
      this.firsts[page + 1] = this.firsts[page] + document.results.length;
    }
    return { number: page, first: this.firsts[page], rows: document.results };
  }

  async older(signal) {
    const page = await this.fetch(this.pages.length ? this.pages.at(-1).number + 1 : 0, signal);
    this.pages = [...this.pages, page].slice(-MOST_PAGES);
  }

  async newer(signal) {
    const page = await this.fetch(this.pages[0].number - 1, signal);
    this.pages = [page, ...this.pages].slice(0, MOST_PAGES);
  }
}

function walkOf(path) {
  const known = left.get(path);
  left.delete(path);
  return known ?? new Walk(path);
}

function remember(walk) {
  left.set(walk.path, walk);
  if (left.size > MOST_LEFT) left.delete(left.keys().next().value);
}

/** After something was created, deleted or counted anew: lists begin anew. path: of the lists, without a query. */
export function forgetLists(...paths) {
  for (const key of left.keys()) if (paths.includes(key.split("?")[0])) left.delete(key);
}

/** After something was changed: the lists that show it stay where they are. path: of those lists, without a query. */
export function updateLists(path, document) {
  for (const walk of left.values()) {
    if (walk.path.split("?")[0] !== path) continue;
    walk.pages = walk.pages.map((page) => ({ ...page, rows: page.rows.map((row) => (row.id === document.id ? document : row)) }));
  }
}

/**
 * path: of the list, with its filters but without limit and cursor. address: of the view, without filters.
 * head: the header row. row(document, position): a row.
 * empty: what is shown instead of no rows. what: the rows' name in the plural.
 */
export function EndlessTable({ path, address, head, row, empty, what, columns }) {
  const walk = useRef(null);
  const [, setVersion] = useState(0);
  // loading: the direction in which rows are fetched. refusal: of the last attempt, which was made in the direction failed.
  const [state, setState] = useState({ loading: null, refusal: null, failed: null });
  const table = useRef();
  const [above, below] = [useRef(), useRef()];
  const anchor = useRef(null);
  const loading = useRef(null);
  const controller = useRef(null);

  if (walk.current?.path !== path) walk.current = walkOf(path);

  async function load(direction) {
    if (loading.current) return;
    loading.current = direction;
    const [going, signal] = [walk.current, controller.current.signal];
    keepInPlace();
    setState({ loading: direction, refusal: null, failed: null });
    try {
      await going[direction](signal);
      if (signal.aborted) return;
      keepInPlace();
      setState({ loading: null, refusal: null, failed: null });
    } catch (refusal) {
      if (signal.aborted) return;
      keepInPlace();
      setState({ loading: null, refusal, failed: direction });
    }
    loading.current = null;
    setVersion((version) => version + 1);
  }

  function beginAnew() {
    walk.current.begin();
    setState({ loading: null, refusal: null, failed: null });
    scrollTo({ top: 0, behavior: "instant" });
    focusHeading();
  }

  // Rows and messages that appear or vanish above the rows in view must not move them.
  function keepInPlace() {
    const numbers = new Set(walk.current.pages.map((page) => String(page.number)));
    const kept = [...(table.current?.tBodies ?? [])].filter((body) => numbers.has(body.dataset.page));
    const inView = kept.find((body) => body.getBoundingClientRect().bottom > 0) ?? kept[0];
    anchor.current = inView ? { page: inView.dataset.page, top: inView.getBoundingClientRect().top } : null;
  }

  useLayoutEffect(() => {
    if (!anchor.current) return;
    const body = table.current.querySelector(`tbody[data-page="${anchor.current.page}"]`);
    const moved = body ? body.getBoundingClientRect().top - anchor.current.top : 0;
    anchor.current = null;
    if (Math.abs(moved) >= 1) window.scrollBy({ top: moved, behavior: "instant" });
  });

  useEffect(() => {
    controller.current = new AbortController();
    loading.current = null;
    const shown = walk.current;
    setState({ loading: null, refusal: null, failed: null });
    if (shown.pages.length) window.scrollTo({ top: shown.scroll, behavior: "instant" });
    // A list that is gone has left a shorter page, which the browser scrolls up.
    const scrolled = () => table.current?.isConnected && (shown.scroll = window.scrollY);
    addEventListener("scroll", scrolled, { passive: true });
    return () => {
      removeEventListener("scroll", scrolled);
      controller.current.abort();
      if (shown.pages.length) remember(shown);
    };
  }, [path]);

  // Observed anew after each change: an end that stays in view is not reported twice.
  useEffect(() => {
    if (state.refusal || state.loading) return;
    const observer = new IntersectionObserver(
      (entries) => {
        const seen = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
        if (seen.includes(below.current) && walk.current.hasOlder) load("older");
        else if (seen.includes(above.current) && walk.current.hasNewer) load("newer");
      },
      { rootMargin: AHEAD },
    );
    if (above.current) observer.observe(above.current);
    if (below.current) observer.observe(below.current);
    return () => observer.disconnect();
  });

  const { pages, hasNewer, hasOlder, end } = walk.current;
  const first = pages.length > 0 && pages[0].rows.length === 0;
  const isBusy = state.loading !== null || (pages.length === 0 && !state.refusal);
  const failure = state.refusal && (state.refusal.status === 422
    ? html`<${Failure} refusal=${state.refusal}><${Remedy} path=${path} address=${address} refused=${state.refusal.errors} onBegin=${beginAnew} /><//>`
    : html`<${Failure} refusal=${state.refusal} onRetry=${() => load(state.failed)} />`);
  const counted = `${number(end)} ${end === 1 ? what.replace(/ies$/, "y").replace(/s$/, "") : what}`;
  const said = isBusy ? `Loading ${what}` : state.refusal ? "" : first ? `No ${what}` : `${counted} loaded`;
  // The same element in both, because only a change of what is there is read out.
  const status = html`<p class="visually-hidden" role="status">${said}</p>`;
  if (first) return html`${empty}${status}`;
  return html`
    <div class="endless">
      <div ref=${above} class="end">
        ${hasNewer && state.failed !== "newer" && html`<button type="button" onClick=${() => load("newer")}>Show the ${what} before these</button>`}
      </div>
      ${state.failed === "newer" && failure}
      <table ref=${table} class="rows" aria-busy=${isBusy ? "true" : "false"}>
        <thead>
          ${head}
        </thead>
        ${pages.map(
          (page) => html`<tbody key=${page.number} data-page=${page.number}>
            ${page.rows.map((document, position) => row(document, page.first + position))}
          </tbody>`,
        )}
        ${pages.length === 0 && !state.refusal && html`<tbody class="skeleton" aria-hidden="true">
          ${Array.from({ length: 8 }, () => html`<tr><td colspan=${columns}><span></span></td></tr>`)}
        </tbody>`}
      </table>
      ${state.failed === "older" && failure}
      <div ref=${below} class="end">
        ${pages.length > 0 && hasOlder && state.failed !== "older" && html`<button type="button" onClick=${() => load("older")}>Show more ${what}</button>`}
        ${pages.length > 0 && !hasOlder && html`<p class="soft">${counted}, and no more</p>`}
      </div>
    </div>
    ${status}
  `;
}

/** What helps where trying again does not: without the filters that were refused, or, as it was the cursor, from the beginning. */
function Remedy({ path, address, refused, onBegin }) {
  const filters = Object.entries(Object.fromEntries(new URLSearchParams(path.split("?")[1])));
  const others = filters.filter(([name]) => !(name in refused));
  if (others.length === filters.length) return html`<button type="button" onClick=${onBegin}>Begin anew</button>`;
  const text = filters.length - others.length === 1 ? "Remove the filter" : "Remove the filters";
  return html`<a class="button" href=${withQuery(address, Object.fromEntries(others))} onClick=${focusHeading}>${text}</a>`;
}
