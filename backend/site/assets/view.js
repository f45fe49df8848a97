// Every look of the page, built afresh from its state; morph.js then changes the document into it. Names and whatever
// else came from outside become text nodes or attribute values here, never markup.

import { contentAddress, pageAddress } from "./api.js";
import { badge, day, expiry, moment, plural, progressLine, shownName, size } from "./format.js";

/**
 * The look of a state: {title, pill, main}. States, by `kind`:
 * `loading`; `front` with `site`; `nowhere`; `refused` with `reason`, `top` (the link's own page) and `trying`;
 * `link` with `token`, `view` (a LinkView), `items`, `next`, `trail`, `estimate`, `now`, `watching`, `lost` and `gone`.
 */
export function look(state) {
  switch (state.kind) {
    case "front": return { title: "Satchel", pill: null, main: front(state.site) };
    case "loading": return { title: "Satchel", pill: null, main: h("p", { class: "loading" }, "Opening the link…") };
    case "nowhere": return refused(SENTENCES.nowhere);
    case "refused": return refused(SENTENCES[state.reason], state);
    default: return state.view.kind === "folder" ? folderLook(state) : fileLook(state);
  }
}

const RETRY = "retry";
const TOP = "top";
const SENTENCES = {
  "nowhere": { icon: "lost", title: "Nothing here",
    text: "There is no page at this address. If somebody sent you a link, check that all of it was copied." },
  "not-found": { icon: "lost", title: "Link not found",
    text: "Nothing is shared at this address. Check that all of the link was copied, or ask the sender for it again." },
  "link-revoked": { icon: "closed", title: "This link was revoked",
    text: "The sender turned it off. Ask them for a new one if you still need what it led to." },
  "link-expired": { icon: "clock", title: "This link has expired",
    text: "It was made to work for a limited time only. Ask the sender for a new one." },
  "content-deleted": { icon: "closed", title: "This was deleted",
    text: "The sender has deleted what this link led to. Ask them to share it again if you still need it." },
  "account-disabled": { icon: "closed", title: "Not available",
    text: "The sender’s account is switched off, and its links with it. Ask them to share it in another way." },
  "folder-gone": { icon: "lost", title: "This folder is gone",
    text: "The sender has deleted or moved it since. The rest may still be here.", action: TOP },
  "busy": { icon: "clock", title: "Too many requests just now",
    text: "Satchel was asked too often in a short time. This page tries again by itself in a little while.",
    action: RETRY },
  "unreachable": { icon: "offline", title: "Satchel cannot be reached",
    text: "Check that you are online. This page tries again by itself, or when you ask it to.", action: RETRY },
};

function refused({ icon, title, text, action }, { top, trying } = {}) {
  const act = action === RETRY
    ? h("button", { class: "button", type: "button", "data-action": "retry" }, trying ? "Trying…" : "Try again")
    : action === TOP && top ? h("a", { class: "button", href: top, "data-action": "folder" }, "Back to the top folder")
    : null;
  const main = h("section", { class: "card hero", "data-key": "refused" },
    h("span", { class: "disc" }, glyph(icon)), h("h1", { tabindex: "-1" }, title), h("p", { class: "lead" }, text), act);
  return { title: `${title} · Satchel`, pill: null, main };
}

function front(site) {
  return h("section", { class: "card hero", "data-key": "front" },
    h("span", { class: "disc" }, glyph("up")),
    h("h1", { tabindex: "-1" }, "Drop a file, get a link"),
    h("p", { class: "lead" }, "This is a private Satchel. If somebody sent you a link, open all of it to see what they shared."),
    h("p", { class: "lead" }, "To send files from here, sign in to the Satchel app with this address:"),
    h("p", {}, h("code", {}, site)));
}

function fileLook({ token, view, estimate, now, lost }) {
  const name = shownName(view.name);
  const arriving = view.state === "arriving";
  const stopped = view.state === "stopped";
  const { label, family } = badge(view.name);
  const main = h("article", { class: "card hero", "data-key": "file" },
    badgeMark(label, family),
    h("h1", { tabindex: "-1" }, isolated(name)),
    h("p", { class: "meta" }, ...facts(view, now)),
    arriving ? progress(view, estimate, lost) : null,
    stopped ? null : downloadLink(token, !arriving),
    stopped ? h("p", { class: "lead" }, STOPPED) : null,
    lost && !arriving ? h("p", { class: "note bad" }, LOST) : null,
    arriving ? h("p", { class: "hint", id: "hint" }, WAIT) : null);
  return { title: name, pill: PILLS[view.state], main };
}

const STOPPED = "The sender stopped before all of it had arrived, so there is nothing to download. Ask them to send it again.";
const AS_THEY_ARRIVE = "Files show up here as they arrive.";
const LOST = "The service does not answer; trying again.";
const WAIT = "It is still being sent. Leave this page open: it will be ready by itself.";
const PILLS = {
  ready: { tone: "ok", text: "Ready" },
  arriving: { tone: "busy", text: "On its way" },
  stopped: { tone: "bad", text: "Stopped" },
};

// One element for both lives of the button, so that whoever waits on it with the keyboard still has it when it works.
function downloadLink(token, ready) {
  const live = ready ? { href: contentAddress(token), "data-action": "download" }
    : { role: "link", "aria-disabled": "true", tabindex: "0", "aria-describedby": "hint" };
  return h("a", { class: "button primary", "data-key": "download", ...live }, glyph("down"), "Download");
}

function progress(view, estimate, lost) {
  const known = view.size > 0 && view.sent_bytes > 0;
  const share = known ? { max: String(view.size), value: String(Math.min(view.sent_bytes, view.size)) } : {};
  const line = lost ? LOST : progressLine(view.sent_bytes ?? 0, view.size, estimate);
  return h("div", { class: "progress" }, h("progress", { "aria-label": "Arrived so far", ...share }),
    h("p", { class: "line" }, line));
}

function facts(view, now) {
  const parts = [];
  if (view.size !== undefined) parts.push(size(view.size));
  if (view.modified_ms !== undefined) parts.push(timed(view.modified_ms, `modified ${day(view.modified_ms)}`));
  if (view.expires_ms !== undefined) parts.push(timed(view.expires_ms, expiry(view.expires_ms, now)));
  return parts.flatMap((part, index) => (index ? [" · ", part] : [part]));
}

function timed(ms, text) {
  return h("time", { datetime: new Date(ms).toISOString(), title: moment(ms) }, text);
}

function folderLook({ token, view, items, next, trail, now, watching, lost, gone }) {
  const here = trail.at(-1)?.name ?? view.name;
  const name = shownName(here);
  const arriving = view.state === "arriving";
  const main = h("section", { class: "listing", "data-key": `folder ${view.folder_id ?? ""}` },
    crumbs(token, trail),
    h("header", { class: "listing-head" }, badgeMark("", "folder"),
      h("div", {}, h("h1", { tabindex: "-1" }, isolated(name)), h("p", { class: "meta" }, ...tally(view, items, next, now)))),
    notes({ arriving, lost, gone, stopped: view.state === "stopped", watching: watching && items.length > 0 }),
    items.length ? h("ul", { class: "rows", "aria-label": "Contents" }, ...items.map((item) => row(token, item))) : empty(),
    next ? h("button", { class: "button", type: "button", "data-action": "more" }, "Show more") : null);
  // Whether all of a folder has arrived, nobody knows; that nothing has is plain to see.
  return { title: name, pill: view.state === "ready" && !items.length ? null : PILLS[view.state], main };
}

function crumbs(token, trail) {
  if (!trail.length) return null;
  const steps = trail.slice(0, -1).map(({ id, name }) => h("li", {},
    h("a", { href: pageAddress(token, id), "data-action": "folder" }, isolated(shownName(name)))));
  return h("nav", { class: "crumbs", "aria-label": "Folders above" }, h("ol", {}, ...steps));
}

function tally(view, items, next, now) {
  const count = !items.length ? "Nothing here yet" : next ? `${items.length}+ items` : plural(items.length, "item");
  const bytes = items.reduce((sum, item) => sum + (item.size ?? 0), 0);
  const rest = facts({ expires_ms: view.expires_ms }, now);
  return [count, ...(bytes && !next ? [` · ${size(bytes)}`] : []), ...(rest.length ? [" · ", ...rest] : [])];
}

function notes({ arriving, lost, gone, stopped, watching }) {
  const text = lost ? LOST
    : gone ? `“${shownName(gone)}” is no longer here.`
    : stopped ? "The sender stopped before everything had arrived. What did arrive is here."
    : arriving ? "Files are still arriving; this list fills by itself." : watching ? AS_THEY_ARRIVE : "";
  return text ? h("p", { class: lost || gone || stopped ? "note bad" : "note" }, text) : null;
}

function row(token, item) {
  const name = shownName(item.name);
  const folder = item.kind === "folder";
  const { label, family } = folder ? { label: "", family: "folder" } : badge(item.name);
  const about = [item.size === undefined ? null : size(item.size), item.modified_ms === undefined ? null : day(item.modified_ms)];
  const act = folder
    ? h("a", { class: "button quiet", href: pageAddress(token, item.node_id), "data-action": "folder", "data-name": item.name,
        "data-node": item.node_id, "aria-label": `Open ${name}` }, glyph("in"), "Open")
    : h("a", { class: "button quiet", href: contentAddress(token, item.node_id), "data-action": "download",
        "data-name": item.name, "aria-label": `Download ${name}` }, glyph("down"), "Download");
  return h("li", { class: folder ? "card row opens" : "card row", "data-key": item.node_id },
    badgeMark(label, family),
    h("div", { class: "about" }, h("p", { class: "name" }, isolated(name)),
      h("p", { class: "meta" }, folder ? "Folder" : about.filter(Boolean).join(" · "))),
    act);
}

function empty() {
  return h("div", { class: "card hero" }, h("p", { class: "lead" }, AS_THEY_ARRIVE));
}

function badgeMark(label, family) {
  const face = family === "folder" ? glyph("folder") : label;
  return h("span", { class: `badge ${family}${label.length > 4 ? " long" : ""}`, "aria-hidden": "true" }, face);
}

function isolated(name) {
  return h("bdi", { dir: "auto" }, name);
}

/** The pill at the top of the page, or nothing. */
export function pillMark(pill) {
  return h("div", { id: "pill" }, pill ? h("span", { class: `pill ${pill.tone}` }, pill.text) : null);
}

const PATHS = {
  up: "M12 15V4M7 9l5-5 5 5M4 15v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3",
  down: "M12 4v11M7 10l5 5 5-5M4 19h16",
  in: "M9 5l7 7-7 7",
  folder: "M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z",
  lost: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l5 5M9 9l4 4M13 9l-4 4",
  closed: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM6 6l12 12",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3 2",
  offline: "M4 4l16 16M8 8.5A11 11 0 0 0 3.5 11M12 7c3.5 0 6.5 1.5 8.5 4M8 15a6 6 0 0 1 7-1M12 19h.01",
};
const SVG = "http://www.w3.org/2000/svg";

function glyph(name) {
  const svg = document.createElementNS(SVG, "svg");
  const attributes = { "class": "glyph", "viewBox": "0 0 24 24", "aria-hidden": "true" };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}
