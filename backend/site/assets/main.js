// The loop: read the address, look at the link, draw it, look again while something is still on its way.

import { Refusal, contentAddress, countView, pageAddress, peek, tokenOf, viewLink } from "./api.js";
import { estimate, heard, pollDelay, retryDelay, withSample } from "./format.js";
import { morph } from "./morph.js";
import { look, pillMark } from "./view.js";

const token = tokenOf(location.pathname);
const main = document.getElementById("main");

let state = { kind: "loading" };
let asked = null; // the AbortController of the look that is under way
let timer = 0;
let counted = false;
let watch = nothingSeen();

function nothingSeen() {
  return { polls: 0, unchanged: 0, failures: 0, samples: [], last: "" };
}

function show(next) {
  const { title, pill, main: fresh } = look(next); // throws at what is no LinkView; then the last state stays
  const before = state;
  state = next;
  document.title = title;
  const frame = document.createElement("main");
  frame.id = "main";
  frame.append(fresh);
  morph(main, frame);
  morph(document.getElementById("pill"), pillMark(pill));
  announce(before, next, title);
}

function announce(before, next, title) {
  const [was, is] = [before.view, next.view];
  let words = "";
  if (next.kind === "refused" && before.kind !== "refused") words = title;
  else if (was && is && was.kind === "file") {
    if (was.state === "arriving" && is.state === "ready") words = "It has arrived and can be downloaded.";
    else if (was.state === "arriving" && is.state === "stopped") words = "The sender stopped.";
    else if (is.state === "arriving" && is.size) words = heard((was.sent_bytes ?? 0) / is.size, (is.sent_bytes ?? 0) / is.size);
  }
  if (words) document.getElementById("announce").textContent = words;
}

/** Looks at the link once, draws what it says, and plans the next look. Only the newest call draws. */
async function refresh() {
  clearTimeout(timer);
  asked?.abort();
  const mine = (asked = new AbortController());
  const folder = new URLSearchParams(location.search).get("folder");
  try {
    const seen = await viewPages(folder, state.pages ?? 1, mine.signal);
    if (mine.signal.aborted) return;
    arrived(seen, folder);
  } catch (error) {
    if (mine.signal.aborted) return;
    failed(error);
  }
}

async function viewPages(folder, pages, signal) {
  const view = await viewLink(token, { folder, signal });
  const items = [...(view.items ?? [])];
  let { next } = view;
  let read = 1;
  for (; next && read < pages; read += 1) {
    const more = await viewLink(token, { folder, page: next, signal });
    items.push(...(more.items ?? []));
    next = more.next;
  }
  return { view, items, next, pages: read };
}

function arrived({ view, items, next, pages }, folder) {
  const now = Date.now();
  const samples = view.state === "arriving" ? withSample(watch.samples, { at: now, sent: view.sent_bytes ?? 0 }) : [];
  const trail = trailTo(folder, view.name);
  const { gone } = state;
  const print = JSON.stringify([view.state, view.sent_bytes, view.name, items]);
  const unchanged = print === watch.last ? watch.unchanged + 1 : 0;
  const polls = watch.polls + 1;
  const delay = pollDelay({ kind: view.kind, state: view.state, polls, unchanged, empty: !items.length, pages });
  const watching = delay !== null;
  show({ kind: "link", token, view, items, next, pages, trail, estimate: estimate(samples, view.size), now, watching, lost: false, gone });
  watch = { polls, unchanged, failures: 0, samples, last: print };
  plan(delay);
  if (!counted) countView(token);
  counted = true;
}

// The folders from the link's own down to this one. Only walking tells their names: opened straight by its address, a
// folder knows the way to the top and no more.
function trailTo(folder, name) {
  if (!folder) return [];
  return history.state?.trail ?? [{ id: null, name: "Top folder" }, { id: folder, name }];
}

function failed(error) {
  if (!(error instanceof Refusal)) console.error(error);
  const refusal = error instanceof Refusal ? error : new Refusal("unreachable");
  const folderGone = refusal.kind === "folder-gone";
  if (refusal.passing) {
    watch.failures += 1;
    plan(retryDelay(watch.failures, refusal.retryAfter));
  }
  if (refusal.passing && state.kind === "link") show({ ...state, lost: true });
  else show({ kind: "refused", reason: refusal.kind, top: folderGone ? pageAddress(token) : null });
}

function plan(delay) {
  clearTimeout(timer);
  timer = 0;
  if (delay === null) return;
  timer = setTimeout(() => {
    if (document.hidden) timer = -1; // asked for again when the page is seen
    else refresh();
  }, delay);
}

function seenAgain() {
  if (!document.hidden && timer === -1) refresh();
}

async function follow(link) {
  const address = link.getAttribute("href");
  if (await peek(address)) return location.assign(address);
  // It would not have worked: say why in this page's words. Where the link is as good as before, only this file is not.
  await refresh();
  if (state.kind !== "link" || state.lost) return;
  const { name } = link.dataset; // of a file in a folder
  const listed = state.items.some((item) => contentAddress(token, item.node_id) === address);
  if (name ? listed : state.view.state === "ready") location.assign(address);
  else if (name) show({ ...state, gone: name });
}

async function open(address, link) {
  const { node, name } = link.dataset;
  const above = state.trail?.length ? state.trail : [{ id: null, name: state.view?.name ?? "" }];
  const known = above.findIndex(({ id }) => pageAddress(token, id) === address);
  const trail = node ? [...above, { id: node, name }] : above.slice(0, known + 1);
  history.pushState({ trail: trail.length > 1 ? trail : null }, "", address);
  await turnTo();
}

// Another folder of the same link: what was known of the last one is of no use here.
async function turnTo() {
  watch = nothingSeen();
  if (state.kind === "link") state = { ...state, pages: 1, gone: null };
  await refresh();
  scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

async function more() {
  clearTimeout(timer);
  asked?.abort();
  const mine = (asked = new AbortController());
  const { items, pages, next: page } = state;
  const folder = new URLSearchParams(location.search).get("folder");
  try {
    const view = await viewLink(token, { folder, page, signal: mine.signal });
    if (mine.signal.aborted) return;
    show({ ...state, items: [...items, ...(view.items ?? [])], next: view.next, pages: pages + 1, lost: false });
    main.querySelectorAll(".row a")[items.length]?.focus();
    plan(pollDelay({ ...state.view, polls: watch.polls, unchanged: 0, pages: state.pages }));
  } catch (error) {
    if (!mine.signal.aborted) failed(error);
  }
}

function retry() {
  show({ ...state, trying: true });
  refresh();
}

function clicked(event) {
  const target = event.target.closest?.("[data-action]");
  const modified = event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
  if (!target || modified || event.defaultPrevented) return;
  event.preventDefault();
  switch (target.dataset.action) {
    case "download": follow(target); break;
    case "folder": open(target.getAttribute("href"), target); break;
    case "more": more(); break;
    case "retry": retry(); break;
  }
}

if (token) {
  document.addEventListener("click", clicked);
  document.addEventListener("visibilitychange", seenAgain);
  addEventListener("popstate", turnTo);
  addEventListener("online", () => watch.failures && refresh());
  show(state);
  refresh();
} else {
  show(location.pathname === "/" ? { kind: "front", site: location.origin } : { kind: "nowhere" });
}
