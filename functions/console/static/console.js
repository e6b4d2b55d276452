// Keys, the veil, the undo bar, and what htmx is told of them. Everything works without it, by the same links and forms.
"use strict";

const SETTLED = 300; // milliseconds before keys decide: a second press must not decide an unseen text
const BUSY = 300; // milliseconds after which a page that is waited for says so
const UNDO = 30000; // milliseconds
const SOON = 120000; // milliseconds before a claim ends in which the page says so
const root = document.documentElement;
const find = (selector) => document.querySelector(selector);
const on = (name, act) => document.addEventListener(name, act);

// A letter for each of these actions, in their order; or none ("off", WCAG 2.1.4).
const USUAL = "rsuexzbjk";
const chosen = root.dataset.shortcuts || USUAL;
const off = chosen === "off";

// The code that the page knows a key by, or "" for a key that does nothing here.
function known(code) {
  if (code === "Enter" || code === "NumpadEnter") return "Enter";
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
  if (element.disabled || !("settled" in root.dataset) || ("busy" in root.dataset && !before)) return;
  if (element.tagName === "SUMMARY") {
    const details = element.parentElement;
    details.open = !details.open;
    if (details.open) details.querySelector("input:not([type=hidden]), select, textarea, button").focus();
  } else {
    element.click();
    if (element.matches("input")) element.focus();
  }
}

on("keydown", (event) => {
  const at = event.target;
  if (event.altKey || event.repeat || event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && event.code === "Enter" && at.form) {
    event.preventDefault();
    at.form.requestSubmit();
    return;
  }
  if (event.ctrlKey || event.metaKey || find("dialog[open]")) return;
  if (event.code === "Escape" && writable(at)) at.blur();
  if (writable(at)) return;
  // By place and not by letter: with a Korean keyboard the letter is a jamo.
  if (off && known(event.code) !== "Enter") return;
  // Without Num Lock, the digits of the number pad move about the page.
  if (event.code.startsWith("Numpad") && event.key.length > 1 && event.key !== "Enter") return;
  const code = known(event.code);
  if (event.key === "?" || (event.code === "Slash" && event.shiftKey)) {
    event.preventDefault();
    openHelp();
  } else if (event.shiftKey) {
    return;
  } else if (code === "KeyJ" || code === "KeyK") {
    if (moveRow(code === "KeyJ" ? 1 : -1)) event.preventDefault();
  } else {
    if (code === "Enter" && at.matches("a, button, summary")) return;
    const target = find(`[data-key="${code.replace("Numpad", "Digit")}"]`);
    if (target && !target.closest("[hidden]")) {
      event.preventDefault();
      press(target);
    }
  }
});

on("click", (event) => { if (event.target.closest("[data-opens-help]")) openHelp(); });

// A category says unsafe.
on("change", (event) => {
  if (event.target.name === "category" && event.target.checked) find("#unsafe").checked = true;
});

// A form that is being answered is not sent a second time. That of the next content waits for the answer.
addEventListener("submit", (event) => {
  if (root.dataset.busy !== "FORM" || event.target.method === "dialog") return;
  if (before && event.target.closest("main")) return;
  event.preventDefault();
  event.stopPropagation();
}, true);

// While a page is waited for, this one says so.
function wait(element) {
  root.dataset.busy = element.tagName;
  find("#failed").hidden = true;
  find("main").setAttribute("aria-busy", "true");
  setTimeout(() => {
    if ("busy" in root.dataset) find("#busy").textContent = find("#busy").dataset.words;
  }, BUSY);
}
function stopWaiting() {
  delete root.dataset.busy;
  find("main").removeAttribute("aria-busy");
  find("#busy").textContent = "";
  if (find("#ahead")) htmx.trigger("#ahead", "again");
}

let worked = false; // since the claim was last extended: an idle page does not extend it
for (const kind of ["keydown", "pointerdown", "scroll"]) addEventListener(kind, () => {
  worked = true;
  if (find("#lease-soon:not([hidden])")) htmx.trigger("#lease", "extend");
}, { passive: true });

on("htmx:beforeRequest", (event) => {
  const { boosted, elt, target, xhr } = event.detail;
  const idle = { lease: !worked, ahead: fresh() || "busy" in root.dataset, "so-far": !("busy" in root.dataset) };
  if (boosted && target.id === "frame") {
    wait(elt);
    if (elt.matches("[data-onward]") && fresh()) showAhead(xhr);
  } else if (boosted) {
    find("#failed").hidden = true;
    target.setAttribute("aria-busy", "true");
  } else if (idle[elt.id] ?? document.hidden) event.preventDefault();
  else if (elt.id === "lease") worked = false;
});
on("htmx:afterRequest", ({ detail: { boosted, elt, target, xhr } }) => {
  if (elt.id === "ahead" && xhr.status === 200) keep(elt, xhr);
  else if (boosted && target.id === "frame") stopWaiting();
  else if (boosted) target.removeAttribute("aria-busy");
});
const failed = (event) => { if (event.detail.boosted) find("#failed").hidden = false; };
on("htmx:sendError", failed);
on("htmx:timeout", failed);

// An answer without the part that was asked for is another page, or none of ours.
on("htmx:beforeSwap", (event) => {
  const { boosted, serverResponse, target } = event.detail;
  const has = (id) => serverResponse.includes(` id="${id}"`);
  if (before && target.id === "frame") answered(event.detail, has("frame"));
  else if (!has(target.id)) {
    const other = boosted && target.isConnected && has("frame");
    if (other) Object.assign(event.detail, { target: find("#frame"), selectOverride: "#frame" });
    else if (target.isConnected) failed(event);
    event.detail.shouldSwap = other;
  }
});

// The server followed its own redirect, and says where the page is.
on("htmx:beforeHistoryUpdate", ({ detail: { history, xhr } }) => {
  const place = xhr.getResponseHeader("Content-Location");
  if (place) history.path = new URL(place, xhr.responseURL).href;
  if (before) history.type = "replace";
  before = undefined;
});

// Keys decide a moment after a page has come.
function settle(main) {
  clearTimeout(settling);
  delete root.dataset.settled;
  settling = setTimeout(() => { if (main.isConnected) root.dataset.settled = ""; }, SETTLED);
}
let settling;

// What a part of a page needs when it has come, whether the browser loaded it or htmx brought it.
on("htmx:load", (event) => arrive(event.detail.elt));
function arrive(elt) {
  relabel(elt);
  const within = (selector) => (elt.matches(selector) ? elt : elt.querySelector(selector));
  const lease = within("#lease");
  if (lease) {
    const left = Date.parse(lease.dataset.until) - Date.now() - SOON;
    find("#lease-soon").hidden = true;
    setTimeout(() => { if (lease.isConnected) find("#lease-soon").hidden = false; }, Math.max(0, left));
  }
  const bar = within("[data-undo]");
  if (bar) setTimeout(() => { bar.hidden = true; }, UNDO);
  if (elt.id === "content") {
    find("#decision").disabled = elt.querySelector(".veil") !== null;
    elt.querySelector("h2").focus();
    return;
  }
  const told = [bar?.querySelector("p").textContent, within("#content")?.dataset.told];
  if (bar || told[1]) find("#told").textContent = told.filter(Boolean).join(". ");
  if (!within("main")) return;
  settle(within("main"));
  within("[data-opens-help]")?.removeAttribute("hidden");
  // On a narrow screen the navigation is a row that scrolls: its current entry is shown.
  within("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  if (elt === document.body) return;
  if (elt.id === "frame") giveBack();
  else scrollTo(0, 0);
  (find("#result") ?? find("#content h2") ?? find("main")).focus();
}
