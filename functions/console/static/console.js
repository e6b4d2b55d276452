// Keys, the veil, the lease and the undo bar. Everything works without it, by the same forms.
"use strict";

const SETTLED = 300; // milliseconds before keys decide: a second press must not decide an unseen text
const UNDO_SECONDS = 30;
const EXTEND_SECONDS = 180;
const root = document.documentElement;
setTimeout(() => { root.dataset.settled = ""; }, SETTLED);

// A letter for each of these actions, in their order; or none ("off", WCAG 2.1.4).
const USUAL = "rsuexzbjk";
const chosen = root.dataset.shortcuts || USUAL;
const off = chosen === "off";

// The code that the page knows a key by, or "" for a key that does nothing here.
function known(code) {
  if (code === "Enter" || code === "NumpadEnter") return code;
  if (off) return "";
  if (!code.startsWith("Key")) return code;
  const at = chosen.indexOf(code.slice(3).toLowerCase());
  return at < 0 ? "" : `Key${USUAL[at].toUpperCase()}`;
}

// The letters that are shown are those that count.
function relabel(part) {
  for (const shown of part.querySelectorAll("kbd")) {
    const letter = shown.textContent;
    const at = letter.length === 1 ? USUAL.indexOf(letter.toLowerCase()) : -1;
    if (off && (at >= 0 || /^[0-9?]$/.test(letter))) shown.hidden = true;
    else if (at >= 0) shown.textContent = chosen[at].toUpperCase();
  }
}
relabel(document);

const find = (selector) => document.querySelector(selector);
const writable = (element) =>
  element.matches("textarea, select, input:not([type=radio]):not([type=checkbox])");

function moveRow(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (rows.length === 0) return false;
  const at = rows.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step;
  rows[Math.min(rows.length - 1, Math.max(0, next))].focus();
  return true;
}

function openHelp() {
  const help = find("#shortcuts");
  if (help && !help.open) help.showModal();
}

function press(element) {
  if (element.disabled || !("settled" in root.dataset)) return;
  if (element.tagName === "SUMMARY") {
    const details = element.parentElement;
    details.open = !details.open;
    if (details.open) details.querySelector("input, select, textarea, button").focus();
  } else {
    element.click();
    if (element.matches("input")) element.focus();
  }
}

document.addEventListener("keydown", (event) => {
  const on = event.target;
  if (event.altKey || event.repeat || event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && event.code === "Enter" && on.form) {
    event.preventDefault();
    on.form.requestSubmit();
    return;
  }
  if (event.ctrlKey || event.metaKey || find("dialog[open]")) return;
  if (event.code === "Escape" && writable(on)) on.blur();
  if (writable(on)) return;
  // By place and not by letter: with a Korean keyboard the letter is a jamo.
  if (off && event.code !== "Enter") return;
  const code = known(event.code);
  if (event.key === "?" || (event.code === "Slash" && event.shiftKey)) {
    event.preventDefault();
    openHelp();
  } else if (event.shiftKey) {
    return;
  } else if (code === "KeyJ" || code === "KeyK") {
    if (moveRow(code === "KeyJ" ? 1 : -1)) event.preventDefault();
  } else {
    if (event.code === "Enter" && on.matches("a, button, summary")) return;
    const target = find(`[data-key="${code.replace("Numpad", "Digit")}"]`);
    if (target && !target.closest("[hidden]")) {
      event.preventDefault();
      press(target);
    }
  }
});

// The text is not in the page until it is asked for, and leaves it when it is hidden.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-swap]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const place = find("#content");
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(link.href, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector("#content");
    if (!answer.ok || !found) throw new Error("no content");
    relabel(found);
    place.replaceWith(document.adoptNode(found));
    const may = page.querySelector("#decision");
    find("#decision").disabled = may.disabled;
    find("#content h2").focus();
  } catch {
    location.assign(link.href);
  }
});

for (const button of document.querySelectorAll("[data-opens-help]")) {
  button.hidden = false;
  button.addEventListener("click", openHelp);
}

for (const form of document.querySelectorAll("form[data-decides]")) {
  form.addEventListener("submit", (event) => {
    if (form.querySelector("[name=decision]:checked")) return;
    event.preventDefault();
    find("#choose").hidden = false;
    form.querySelector("[name=decision]").focus();
  });
}

// A category says unsafe.
document.addEventListener("change", (event) => {
  if (event.target.name === "category" && event.target.checked) find("#unsafe").checked = true;
});

const bar = find("[data-undo]");
if (bar) setTimeout(() => { bar.hidden = true; }, UNDO_SECONDS * 1000);

// Work extends the lease; an idle page does not.
const lease = find("[data-lease]");
if (lease) {
  const until = Date.parse(lease.dataset.lease);
  let extendedAt = performance.now();
  const extend = () => {
    if (performance.now() - extendedAt < EXTEND_SECONDS * 1000) return;
    extendedAt = performance.now();
    fetch(location.href, { credentials: "same-origin" });
  };
  for (const kind of ["keydown", "pointerdown", "scroll"]) addEventListener(kind, extend, { passive: true });
  setTimeout(() => { find("#lease-soon").hidden = false; }, Math.max(0, until - Date.now() - 120000));
}

// Progress that goes on by itself: the part of the page is fetched again while it says so.
const LIVE_SECONDS = 3;
async function refresh() {
  const place = find("[data-live]");
  if (!place) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", headers: { "Quorum-Background": "1" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.querySelector("#live");
      if (!answer.ok || !found) return;
      relabel(found);
    place.replaceWith(document.adoptNode(found));
    } catch {
      // The next try says more.
    }
  }
  setTimeout(refresh, LIVE_SECONDS * 1000);
}
if (find("[data-live]")) setTimeout(refresh, LIVE_SECONDS * 1000);
