// Makes an element look like a freshly built one while keeping what is already there: focus, scrolling and running
// transitions survive a redraw, and a screen reader hears only of what changed.

/** Changes `old` into the likeness of `fresh`. Children are matched by `data-key`, else by tag and order. */
export function morph(old, fresh) {
  matchAttributes(old, fresh);
  matchChildren(old, fresh);
}

function matchAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
}

function matchChildren(old, fresh) {
  const present = new Map(keyed(old.childNodes));
  const wanted = keyed(fresh.childNodes);
  const keys = new Set(wanted.map(([key]) => key));
  // Those that leave go first, so that those that stay need not be moved: a moved element loses its focus.
  for (const [key, node] of present) if (!keys.has(key)) node.remove();

  let place = old.firstChild;
  for (const [key, node] of wanted) {
    const kept = present.get(key);
    if (!kept) {
      old.insertBefore(node, place);
      continue;
    }
    if (kept === place) place = place.nextSibling;
    else old.insertBefore(kept, place);
    if (kept.nodeType === Node.ELEMENT_NODE) morph(kept, node);
    else if (kept.data !== node.data) kept.data = node.data;
  }
}

function keyed(nodes) {
  const seen = new Map();
  return [...nodes].map((node) => {
    const name = `${node.nodeName} ${node.dataset?.key ?? ""}`;
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return [`${name} ${count}`, node];
  });
}
