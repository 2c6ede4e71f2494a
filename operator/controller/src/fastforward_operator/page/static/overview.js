// How things stand, what is wrong first. In: state. Out: the view `overview`.

import { byId, fill, h, Portion, say, sync } from "./dom.js";
import { state } from "./state.js";
import { addressOf, badge, counted, keyOf, nameOf, verdictOf, worstOf } from "./words.js";

const portion = new Portion(byId("wrong-more"), 50, () => update());

export function show() {
  portion.reset();
  update();
}

export function update() {
  const objects = [...state.objects.values()];
  const verdicts = Map.groupBy(objects, verdictOf);
  const count = (verdict) => verdicts.get(verdict)?.length ?? 0;
  sync(byId("counts"), cards(objects, count), (card) => card.noun, () => h("li", {}, h("strong"), h("span")), dress);
  const wrong = [...troubledNodes(), ...(verdicts.get("wrong") ?? []).map(troubledObject)];
  byId("wrong-none").hidden = wrong.length > 0 || state.answeredAt === null;
  sync(byId("wrong"), portion.of(wrong), (trouble) => trouble.key, () => h("li"), tell);
  const kinds = [...Map.groupBy(objects, (object) => object.kind)].sort(([a], [b]) => (a < b ? -1 : 1));
  sync(byId("kinds"), kinds, ([kind]) => kind, kindRow, countKind);
}

function cards(objects, count) {
  const envoys = state.nodes.filter((node) => node.kind === "envoy");
  const others = state.nodes.filter((node) => node.kind !== "envoy");
  const live = (nodes) => nodes.filter((node) => node.state === "live").length;
  return [
    { noun: "with problems", value: String(count("wrong")), verdict: count("wrong") ? "wrong" : "good", to: "#/objects?verdict=wrong" },
    { noun: "waiting for proxies", value: String(count("waiting")), verdict: count("waiting") ? "waiting" : "good", to: "#/objects?verdict=waiting" },
    { noun: "objects are programmed", value: `${count("good")} of ${objects.length}`, verdict: count("wrong") + count("waiting") ? "waiting" : "good", to: "#/objects" },
    { noun: "proxies are live", value: `${live(envoys)} of ${envoys.length}`, verdict: envoys.length && live(envoys) === envoys.length ? "good" : "wrong", to: "#/proxies" },
    { noun: "decision services are live", value: `${live(others)} of ${others.length}`, verdict: live(others) === others.length ? "good" : "wrong", to: "#/proxies" },
  ];
}

function dress(element, { noun, value, verdict, to }) {
  if (element.className !== verdict) element.className = verdict;
  say(element.firstElementChild, value);
  const label = element.lastElementChild;
  if (!label.firstElementChild) fill(label, h("a", { href: to }, noun));
}

function troubledObject(object) {
  const worst = worstOf(object);
  const problems = object.problems.map(({ field, message }) => (field ? `${field}: ${message}` : message));
  return {
    key: keyOf(object),
    to: addressOf(object),
    title: `${object.kind} ${nameOf(object)}`,
    verdict: `${worst.type} ${worst.status}, ${worst.reason}`,
    words: problems.length ? problems.join(" ") : worst.message,
  };
}

function* troubledNodes() {
  for (const node of state.nodes) {
    const refused = Object.values(node.types).flatMap((type) => Object.values(type.refused));
    const words = refused.map((refusal) => refusal.message).join(" ");
    if (node.state === "lagging" || refused.length) {
      const verdict = refused.length ? `refuses ${counted(refused.length, "resource")}` : "lags";
      yield { key: `node ${node.node} ${node.kind}`, to: "#/proxies", title: `${node.kind} ${node.node}`, verdict, words };
    }
  }
}

function tell(element, { to, title, verdict, words }) {
  const said = JSON.stringify([to, title, verdict, words]);
  if (element.dataset.said === said) return;
  element.dataset.said = said;
  fill(element, h("p", {}, h("a", { href: to }, title), " ", badge("wrong", verdict)), words && h("p", {}, words));
}

function kindRow([kind]) {
  const link = h("a", { href: `#/objects?kind=${encodeURIComponent(kind)}` }, kind);
  return h("tr", {}, h("th", { scope: "row" }, link), ...["", "", "", ""].map(() => h("td", { class: "number" })));
}

function countKind(row, [, objects]) {
  const verdicts = objects.map(verdictOf);
  const count = (wanted) => verdicts.filter((verdict) => verdict === wanted).length;
  const numbers = [objects.length, count("good"), count("waiting"), count("wrong")];
  numbers.forEach((number, place) => say(row.children[place + 1], number.toLocaleString("en")));
}
