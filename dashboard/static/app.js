// Theme, keyboard, the pill of new things, copying, and the few actions.
// Everything that can be read works without this file.
"use strict";

(() => {
  const root = document.documentElement;
  const THEMES = ["system", "light", "dark"];
  const THEME_KEY = "fastapi-diagnostics-theme";
  const POLL_MS = 2000;

  // Runs before the first paint, so that no page flashes in the wrong theme.
  root.dataset.js = "on";
  applyTheme(storedTheme());

  function storedTheme() {
    try {
      const theme = localStorage.getItem(THEME_KEY);
      return THEMES.includes(theme) ? theme : "system";
    } catch {
      return "system";
    }
  }

  function applyTheme(theme) {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    const name = document.querySelector("[data-theme-name]");
    if (name) name.textContent = theme[0].toUpperCase() + theme.slice(1);
  }

  function nextTheme() {
    const theme = THEMES[(THEMES.indexOf(storedTheme()) + 1) % THEMES.length];
    try {
      localStorage.setItem(THEME_KEY, theme);
    } catch {
      // Storage may be forbidden: the theme then lasts as long as the page.
    }
    applyTheme(theme);
  }

  const api = (path) => document.body.dataset.api + path;

  // Actions: the header is what no foreign form can send.
  async function act(path, body) {
    const headers = { "X-Diagnostics-Action": "1" };
    if (body) headers["Content-Type"] = "application/json";
    const answer = await fetch(api(path), {
      method: "POST",
      headers,
      body: body && JSON.stringify(body),
    });
    if (!answer.ok) {
      const told = await answer.json().catch(() => null);
      throw new Error(told?.error?.message ?? `The server answered ${answer.status}.`);
    }
  }

  async function mark(button) {
    const box = button.closest("[data-actions]");
    const reason = box.querySelector("[data-reason]")?.value ?? "";
    const failure = box.querySelector(".failure");
    failure.hidden = true;
    try {
      await act(`findings/${encodeURIComponent(box.dataset.actions)}/state`, {
        state: button.dataset.state,
        reason: button.dataset.state === "ignored" ? reason : "",
      });
      location.reload();
    } catch (error) {
      failure.textContent = error.message;
      failure.hidden = false;
    }
  }

  async function clearAll(button) {
    if (button.dataset.sure !== "yes") {
      button.dataset.sure = "yes";
      button.textContent = "Really forget everything";
      return;
    }
    try {
      await act("clear");
      location.reload();
    } catch (error) {
      button.textContent = error.message;
    }
  }

  // Copying: the clipboard is only there in secure contexts, so a container's address needs more.
  async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    let done = true;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      done = copySelected(source);
    }
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = "Copy"), 1600);
  }

  function copySelected(source) {
    getSelection().selectAllChildren(source);
    return document.execCommand("copy");
  }

  // New things: counted, announced, and shown only when asked for. The list never moves by itself.
  let token = "";
  const fresh = { groups: 0, requests: 0 };

  async function poll() {
    if (document.visibilityState !== "visible") return;
    try {
      const answer = await fetch(`${api("changes")}?since=${encodeURIComponent(token)}`);
      if (!answer.ok) return;
      const changes = await answer.json();
      token = changes.token;
      fresh.groups += changes.groups;
      fresh.requests += changes.requests;
      showPill();
    } catch {
      // The server restarts: the next poll finds it again.
    }
  }

  function showPill() {
    const watched = document.body.dataset.watch;
    const count = fresh[watched];
    const slot = document.querySelector(".pill-slot");
    if (!count) return slot.replaceChildren();
    const text = `${count} new ${watched === "groups" ? "finding" : "request"}${count > 1 ? "s" : ""}`;
    let pill = slot.querySelector("button");
    if (!pill) {
      pill = document.createElement("button");
      pill.type = "button";
      pill.className = "pill";
      pill.addEventListener("click", showNew);
      slot.append(pill);
    }
    if (pill.textContent !== text) pill.textContent = text;
  }

  function showNew() {
    fresh.groups = fresh.requests = 0;
    const list = document.body.dataset.list;
    const here = location.pathname + location.search;
    if (!window.htmx || (list && list !== location.pathname)) {
      location.assign(list && list !== location.pathname ? list : here);
      return;
    }
    window.htmx
      .ajax("GET", here, {
        target: "#main",
        select: "#main",
        selectOOB: "#seen",
        swap: "outerMorph",
      })
      .then(showPill);
  }

  // Keyboard
  let going = false;

  function move(step) {
    const rows = [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent);
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const next = rows[Math.min(Math.max(at + step, 0), rows.length - 1)];
    next.querySelector("a")?.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  const press = (selector) => document.querySelector(selector)?.click();

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    t: nextTheme,
    c: () => press("[data-copy]"),
    e: () => press("a[data-editor]"),
    "?": () => document.getElementById("keys").showModal(),
    "/": () => document.querySelector("[data-search]")?.focus(),
    g: () => {
      going = true;
      setTimeout(() => (going = false), 1500);
    },
  };

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.closest("input, select, textarea");
    if (typing) {
      if (event.key === "Escape") typing.blur();
      return;
    }
    const goTo = going && document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    going = false;
    if (goTo) return location.assign(goTo.href);
    const action = KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  function onClick(event) {
    const button = event.target.closest("button");
    if (button?.dataset.copy) copy(button);
    else if (button?.dataset.state) mark(button);
    else if (button && "clear" in button.dataset) clearAll(button);
    else if (button && "themeToggle" in button.dataset) nextTheme();
    else if (button && "help" in button.dataset) KEYS["?"]();
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  }

  // At once: a key pressed while the page still loads is not lost.
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
  document.addEventListener("DOMContentLoaded", () => {
    token = document.body.dataset.token;
    applyTheme(storedTheme());
    document.addEventListener("visibilitychange", poll);
    setInterval(poll, POLL_MS);
  });
})();
