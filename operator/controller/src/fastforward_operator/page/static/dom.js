// Elements out of plain values. In: names, attributes, texts. Out: elements. Used by every view. Texts become text nodes,
// never markup; lists are brought up to date in place, so that focus, scroll and open folds stay where they are.

/** An element. Attributes named `on...` are listeners; false and null are left out. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...present(children));
  return element;
}

/** Put other children in. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== "");
}

export function byId(id) {
  return document.getElementById(id);
}

/** Another text, if it is another. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Another attribute, if it is another. */
export function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Children for `items`, in their order. What was there for the same key stays the same element. Of items with the same
 * key each has its own: a proxy that comes back is there twice until its old stream ends. */
export function sync(parent, items, keyOf, make, update = () => {}) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const keys = numbered(items.map(keyOf));
  const wanted = new Set(keys);
  for (const child of [...parent.children]) if (!wanted.has(child.dataset.key)) child.remove();
  let next = parent.firstElementChild;
  items.forEach((item, place) => {
    let child = known.get(keys[place]);
    if (child === undefined) {
      child = make(item);
      child.dataset.key = keys[place];
      parent.insertBefore(child, next);
    } else if (child === next) {
      next = next.nextElementSibling;
    } else {
      parent.insertBefore(child, next);
    }
    update(child, item);
  });
}

/** Each key once: the second of the same gets a number. */
function numbered(keys) {
  const taken = new Set();
  return keys.map((key) => {
    let own = key;
    for (let number = 2; taken.has(own); number += 1) own = `${key}#${number}`;
    taken.add(own);
    return own;
  });
}

/** The first of a long list, and a button for more of it: ten thousand rows at once would stall a browser. */
export class Portion {
  constructor(button, size, onMore) {
    this.size = size;
    this.shown = size;
    this.button = button;
    button.addEventListener("click", () => {
      this.shown += this.size;
      onMore();
    });
  }

  reset() {
    this.shown = this.size;
  }

  of(items) {
    const rest = items.length - this.shown;
    this.button.hidden = rest <= 0;
    if (rest > 0) say(this.button, `Show ${Math.min(rest, this.size)} more of ${items.length.toLocaleString("en")}`);
    return items.slice(0, this.shown);
  }
}
