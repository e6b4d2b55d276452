// Keys, the veil, the lease and the undo bar. Everything works without it, by the same forms.
"use strict";

const SETTLED = 300; // milliseconds before keys decide: a second press must not decide an unseen text
const BUSY = 300; // milliseconds after which a form that is being answered says so
const UNDO_SECONDS = 30;
const EXTEND_SECONDS = 180;
const ANSWER_SECONDS = 29; // an answer takes no longer: who stopped the browser may send the form again
const LIVE_SECONDS = 3;
const VOTES_SECONDS = 0.5;
const root = document.documentElement;

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

const find = (selector) => document.querySelector(selector);
const writable = (element) =>
  element.matches("textarea, select, input:not([type=radio]):not([type=checkbox])");
const parsed = async (answer) =>
  new DOMParser().parseFromString(await answer.text(), "text/html");
const after = (seconds, act) => setTimeout(act, seconds * 1000);

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
  if (element.disabled || !("settled" in root.dataset) || "busy" in root.dataset) return;
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
    const page = await parsed(answer);
    const found = page.querySelector("#content");
    if (!answer.ok || !found) throw new Error("no content");
    relabel(found);
    place.replaceWith(document.adoptNode(found));
    find("#decision").disabled = page.querySelector("#decision").disabled;
    find("#content h2").focus();
  } catch {
    location.assign(link.href);
  }
});

for (const button of document.querySelectorAll("[data-opens-help]")) {
  button.hidden = false;
  button.addEventListener("click", openHelp);
}

// A category says unsafe.
document.addEventListener("change", (event) => {
  if (event.target.name === "category" && event.target.checked) find("#unsafe").checked = true;
});

// A form that is being answered is not sent a second time, and says that it is on its way.
let waiting;
function wait() {
  root.dataset.busy = "";
  clearTimeout(waiting);
  waiting = after(ANSWER_SECONDS, stopWaiting);
  setTimeout(() => {
    const told = find("#busy");
    if (told && "busy" in root.dataset) told.textContent = told.dataset.words;
  }, BUSY);
}
function stopWaiting() {
  delete root.dataset.busy;
  const told = find("#busy");
  if (told) told.textContent = "";
}
addEventListener("pageshow", stopWaiting);

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "dialog" || event.defaultPrevented) return;
  if ("busy" in root.dataset) {
    event.preventDefault();
    return;
  }
  if (form.matches("[data-decides]") && !form.querySelector("[name=decision]:checked")) {
    event.preventDefault();
    find("#choose").hidden = false;
    form.querySelector("[name=decision]").focus();
    return;
  }
  wait();
  if (!form.matches("[data-onward]")) return;
  event.preventDefault();
  onward(form, event.submitter);
});

// The answer to the form is the next page itself, which takes the place of this one.
async function onward(form, button) {
  const fields = new URLSearchParams(new FormData(form, button));
  const send = (to, headers) =>
    fetch(to, { method: "POST", credentials: "same-origin", body: fields, headers });
  const action = form.action;
  const looking = { done: false };
  try {
    const asked = send(action, { "Quorum-Onward": "1" });
    if (form.dataset.votes) look(looking, () => send(new URL(form.dataset.votes, location.href), { "Quorum-Background": "1" }));
    const answer = await asked;
    const page = await parsed(answer);
    looking.done = true;
    const next = page.querySelector(".frame > main");
    if (!next) throw new Error("no page"); // such as the one that asks for a key
    const place = answer.headers.get("Content-Location") ?? "";
    history.pushState(null, "", answer.redirected ? answer.url : new URL(place, action));
    document.title = page.title;
    find("main").replaceWith(document.adoptNode(next));
    scrollTo(0, 0);
    arrive();
    (find("#result") ?? find("#content h2") ?? find("main")).focus();
  } catch {
    looking.done = true;
    stopWaiting();
    if (button?.name) form.append(Object.assign(document.createElement("input"), { type: "hidden", name: button.name, value: button.value }));
    form.submit();
  }
  stopWaiting();
}
addEventListener("popstate", () => location.reload());

// The votes that are there already, while the others are waited for.
async function look(looking, ask) {
  while (!looking.done) {
    await new Promise((resolve) => after(VOTES_SECONDS, resolve));
    if (looking.done) return;
    try {
      const answer = await ask();
      const found = (await parsed(answer)).querySelector("#so-far");
      if (answer.ok && found && !looking.done) find("#so-far")?.replaceWith(document.adoptNode(found));
    } catch {
      // The verdict itself says more.
    }
  }
}

// Work extends the lease; an idle page does not.
let extendedAt = 0;
function extend() {
  if (!find("[data-lease]") || performance.now() - extendedAt < EXTEND_SECONDS * 1000) return;
  extendedAt = performance.now();
  fetch(location.href, { credentials: "same-origin" });
}
for (const kind of ["keydown", "pointerdown", "scroll"]) addEventListener(kind, extend, { passive: true });

// Progress that goes on by itself: the part of the page is fetched again while it says so.
async function refresh() {
  const place = find("[data-live]");
  if (!place) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", headers: { "Quorum-Background": "1" } });
      const found = (await parsed(answer)).querySelector("#live");
      if (!answer.ok || !found) return;
      relabel(found);
      place.replaceWith(document.adoptNode(found));
    } catch {
      // The next try says more.
    }
  }
  after(LIVE_SECONDS, refresh);
}

// What a page needs when it has come, whether the browser loaded it or a form's answer brought it.
function arrive() {
  delete root.dataset.settled;
  const page = find("main");
  setTimeout(() => { if (page.isConnected) root.dataset.settled = ""; }, SETTLED);
  relabel(page);
  const bar = find("[data-undo]");
  if (bar) after(UNDO_SECONDS, () => { bar.hidden = true; });
  const lease = find("[data-lease]");
  if (lease) {
    extendedAt = performance.now();
    const soon = find("#lease-soon");
    setTimeout(() => { soon.hidden = false; }, Math.max(0, Date.parse(lease.dataset.lease) - Date.now() - 120000));
  }
  if (find("[data-live]")) after(LIVE_SECONDS, refresh);
}

for (const part of document.querySelectorAll(".side, dialog")) relabel(part);
// On a narrow screen the navigation is a row that scrolls: its current entry is shown.
find("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
arrive();
