// What objects and nodes are called, and what is said of them in a word. In: values of the API. Out: texts, small elements.

import { h } from "./dom.js";

const SIGNS = { good: "✓", wrong: "✕", waiting: "…", plain: "" };

/** `Route shop/books`, as problems and policies name it. */
export function keyOf({ kind, namespace, name }) {
  return `${kind} ${namespace}/${name}`;
}

/** `shop/books`, or `shop` for what is in no namespace. */
export function nameOf({ namespace, name }) {
  return namespace ? `${namespace}/${name}` : name;
}

export function addressOf({ kind, namespace, name }) {
  return `#/objects/${[kind, namespace, name].map(encodeURIComponent).join("/")}`;
}

export function conditionOf(object, type) {
  return object.conditions.find((condition) => condition.type === type);
}

/** The first condition that is False, else Programmed. */
export function worstOf(object) {
  return object.conditions.find((condition) => condition.status === "False") ?? conditionOf(object, "Programmed");
}

/** good, wrong or waiting. */
export function verdictOf(object) {
  if (object.conditions.some((condition) => condition.status === "False")) return "wrong";
  return conditionOf(object, "Programmed")?.status === "True" ? "good" : "waiting";
}

export function verdictOfStatus(status) {
  return { True: "good", False: "wrong" }[status] ?? "waiting";
}

/** A word with a sign, so that its colour is not all that tells it. */
export function badge(verdict, text) {
  return h("span", { class: `badge ${verdict}` }, `${SIGNS[verdict]} ${text}`.trim());
}

/** A name that may be broken before its dots. */
export function breakable(name) {
  return name.split(".").map((part, place) => (place ? [h("wbr"), `.${part}`] : part));
}

/** How long ago, in one unit, as `ff get` says it. */
export function ago(time) {
  return span((Date.now() - new Date(time).getTime()) / 1000);
}

export function span(seconds) {
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["m", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)}${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))}s`;
}

export function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** Terms and what belongs to them; those without anything are left out. */
export function facts(pairs) {
  const told = pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined && value.length !== 0);
  return h("dl", {}, told.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
}
