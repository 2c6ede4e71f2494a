// The page: which view is shown, what the keyboard does, and what is said when the operator does not answer. In: the
// address after `#`, keys, answers. Out: calls of the views. A view is `show(parts, query)` and `update()`.

import { byId, fill, h, say } from "./dom.js";
import * as explain from "./explain.js";
import * as map from "./map.js";
import * as objects from "./objects.js";
import * as overview from "./overview.js";
import * as proxies from "./proxies.js";
import { follow, state } from "./state.js";

const VIEWS = { overview, objects, proxies, map, explain };
let current = "";

/** `#/objects/Route/shop/books?kind=Route` -> the view, the parts after it, the query. */
function address() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...parts] = path.split("/");
  const decoded = parts.map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { name: Object.hasOwn(VIEWS, name) ? name : "overview", parts: decoded, query: new URLSearchParams(query) };
}

function navigate() {
  const { name, parts, query } = address();
  const isOther = name !== current;
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = byId(`${name}-title`);
  document.title = `${title.textContent} · FastForward`;
  // Whoever went to another view by a link goes on reading there; at the start nothing is taken from the reader.
  if (isOther && current) {
    title.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  current = name;
  VIEWS[name].show(parts, query);
}

function update() {
  const time = state.answeredAt?.toLocaleTimeString("en-GB");
  say(byId("pulse"), time ? `Answered ${time}` : "Not answered yet");
  const words = [];
  if (state.isDown) {
    const since = time ? ` since ${time}. What is shown is what it said then.` : ".";
    words.push(`The operator ${state.why ? "gives no good answer" : "does not answer"}${since}`);
    words.push([state.why, "It is asked again every two seconds."].filter(Boolean).join(" "));
  } else if (state.health !== "ok") {
    words.push(`The operator hears nothing of ${state.blind.join(", ")}: what is shown of these may be old.`);
  } else if (state.ready !== "ready") {
    words.push(`The operator is ${state.ready}.`);
  }
  const alert = byId("alert");
  if (alert.textContent !== words.join(" ")) fill(alert, words.length ? h("p", {}, words.join(" ")) : null);
  if (state.answeredAt) VIEWS[current].update();
}

function isTyping(target) {
  return target instanceof HTMLElement && (target.matches("input, select, textarea") || target.isContentEditable);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !isTyping(event.target)) {
    const filter = document.querySelector(`#${current} input[type="search"]`);
    if (filter) {
      event.preventDefault();
      filter.focus();
      filter.select();
    }
  } else if (event.key === "Escape" && !isTyping(event.target)) {
    VIEWS[current].escape?.(event);
  }
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
for (const form of document.querySelectorAll("form.filter")) {
  form.addEventListener("submit", (event) => event.preventDefault());
}
window.addEventListener("hashchange", navigate);
navigate();
follow(update);
