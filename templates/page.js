"use strict";
// What the page does beyond being read: steps, lit symbols, the choice of colours. Nothing here is needed to read it.
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (id) => document.getElementById(id);

  // Formulas that were not set when the page was made. What gets copied is their LaTeX without the marks of quantities.
  function unmarked(tex) {
    const mark = /(\\[A-Za-z]+)?\\htmlData\{[^{}]*\}\{/;
    for (let found = mark.exec(tex); found; found = mark.exec(tex)) {
      const start = found.index + found[0].length;
      let end = start;
      for (let depth = 1; depth; end++) depth += tex[end] === "{" ? 1 : tex[end] === "}" ? -1 : 0;
      const before = tex.slice(0, found.index) + (found[1] ? `${found[1]} ` : "");
      tex = before + tex.slice(start, end - 1) + tex.slice(end);
    }
    return tex.replace(/^\\displaystyle /, "");
  }
  if (typeof sbpSet === "function") {
    for (const formula of all("[data-tex]")) {
      const html = sbpSet(formula.dataset.tex);
      if (html === null) continue;
      const place = document.createElement("template");
      place.innerHTML = html;
      place.content.querySelector("annotation").textContent = unmarked(formula.dataset.tex);
      formula.replaceWith(place.content);
    }
  }
  for (const part of all("[hidden]")) if (!part.matches(".stepper")) part.hidden = false;

  // ---- colours ----
  const theme = one("theme");
  const themes = ["", "light", "dark"];
  const themeWords = theme.dataset.words.split("|");
  function showTheme() {
    const at = themes.indexOf(root.dataset.theme || "");
    theme.textContent = ["◐", "☀", "☾"][at];
    theme.setAttribute("aria-label", `${theme.dataset.text}: ${themeWords[at]}`);
    theme.title = `${theme.dataset.text}: ${themeWords[at]}`;
  }
  theme.addEventListener("click", () => {
    const next = themes[(themes.indexOf(root.dataset.theme || "") + 1) % themes.length];
    if (next) root.dataset.theme = next; else delete root.dataset.theme;
    try { localStorage.setItem("symbackprop-theme", next); } catch (error) { /* kept for this visit only */ }
    showTheme();
  });
  showTheme();

  // ---- the picture, kept in view ----
  const figure = one("page-picture"), dockButton = one("dock");
  if (figure) {
    const dock = document.createElement("div");
    dock.className = "dock";
    dock.setAttribute("aria-hidden", "true");
    dock.append(figure.querySelector("svg").cloneNode(true));
    for (const part of all("[id], [aria-labelledby]", dock)) {
      part.removeAttribute("id");
      part.removeAttribute("aria-labelledby");
    }
    document.body.append(dock);
    let away = false, wanted = matchMedia("(min-width: 64rem)").matches;
    const show = () => {
      dock.hidden = !(away && wanted);
      dockButton.setAttribute("aria-pressed", String(wanted));
    };
    dockButton.addEventListener("click", () => { wanted = !wanted; show(); });
    new IntersectionObserver(([entry]) => {
      away = !entry.isIntersecting && entry.boundingClientRect.height > 0;
      show();
    }).observe(figure);
    show();
  }

  // ---- lit symbols ----
  // A key is a quantity, and after a colon the indices of one entry. An entry goes with itself and with
  // what stands for any entry; a quantity goes with all of them.
  const places = new Map();
  for (const place of all("[data-sbp]")) {
    const name = place.dataset.sbp;
    if (!places.has(name)) places.set(name, []);
    places.get(name).push(place);
  }
  const entryOf = (place) => (place.dataset.sbpEntry || "").replaceAll(",", ".");
  const keyOf = (place) => `${place.dataset.sbp}:${entryOf(place)}`;
  function placesOf(key) {
    const [name, entry] = key.split(":");
    return (places.get(name) || []).filter((place) => !entry || !entryOf(place) || entryOf(place) === entry);
  }
  let pointed = null, kept = null;
  function relight() {
    const lit = new Set([pointed, kept].filter((key) => key !== null).flatMap(placesOf));
    for (const place of all(".lit")) if (!lit.has(place)) place.classList.remove("lit");
    for (const place of lit) place.classList.add("lit");
  }
  function point(key) {
    if (key === pointed) return;
    pointed = key;
    relight();
  }
  function keep(key) {
    kept = kept === key ? null : key;
    for (const symbol of symbols) symbol.setAttribute("aria-pressed", String(keyOf(symbol) === kept));
    relight();
  }
  const keyAt = (target) => {
    const place = target instanceof Element ? target.closest("[data-sbp]") : null;
    return place ? keyOf(place) : null;
  };
  const symbols = all(".symbol");
  for (const symbol of symbols) {
    symbol.tabIndex = 0;
    symbol.setAttribute("role", "button");
    symbol.setAttribute("aria-pressed", "false");
    symbol.addEventListener("focus", () => point(keyOf(symbol)));
    symbol.addEventListener("blur", () => point(null));
    symbol.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      keep(keyOf(symbol));
    });
  }
  document.addEventListener("pointerover", (event) => point(keyAt(event.target)));
  document.addEventListener("click", (event) => {
    const key = keyAt(event.target);
    if (key !== null) keep(key);
    else if (kept !== null && !event.target.closest("button, a, label, summary, input")) keep(kept);
  });

  // ---- steps ----
  const [whole, steps] = [one("view-whole"), one("view-steps")];
  const [back, on, count, announcement] = ["step-back", "step-on", "step-count", "announcement"].map(one);
  const stepper = back.parentElement;
  let rows = [], at = -1;

  // The rows of the form that is shown; everything between two rows comes with the later one.
  function collect() {
    rows = [];
    const waiting = [];
    for (const block of all("main > .part")) {
      if (getComputedStyle(block).display === "none") continue;
      for (const item of all(":scope > h2, :scope > p, :scope > .scroll, :scope > .display, :scope > details", block)) {
        waiting.push(item);
        if (!item.matches(".display")) continue;
        for (const row of all(".row", item)) {
          if (row.matches(".form-index, .form-matrix") && !shown(row)) continue;
          waiting.push(row);
          for (const each of waiting.splice(0)) each.sbpStep = rows.length;
          rows.push(row);
        }
      }
    }
    for (const each of waiting) each.sbpStep = Infinity;
  }
  function shown(row) {
    const form = document.querySelector("input[name=form]:checked");
    return !form || form.value === "both" || row.classList.contains(`form-${form.value}`);
  }
  const stepped = () => all("main > .part > *, main > .part .row");

  function go(to, quiet) {
    at = Math.max(0, Math.min(rows.length - 1, to));
    for (const item of stepped()) {
      const step = item.sbpStep;
      item.classList.toggle("later", step > at && !(step === Infinity && at === rows.length - 1));
      item.classList.toggle("now", item === rows[at]);
    }
    count.textContent = count.dataset.text.replace("{n}", at + 1).replace("{all}", rows.length);
    back.disabled = at === 0;
    on.disabled = at === rows.length - 1;
    history.replaceState(null, "", `#at=${encodeURIComponent(rows[at].id)}`);
    rows[at].scrollIntoView({ block: "nearest" });
    if (!quiet) announce(rows[at]);
  }
  function announce(row) {
    announcement.textContent = `${count.textContent}. `;
    for (const math of all("math", row)) announcement.append(math.cloneNode(true), " ");
    for (const words of all(".why, .check .unseen", row)) announcement.append(`${words.textContent}. `);
  }
  function start(to) {
    collect();
    if (!rows.length) return;
    steps.checked = true;
    root.classList.add("stepping");
    stepper.hidden = false;
    go(to);
  }
  function stop() {
    whole.checked = true;
    root.classList.remove("stepping");
    stepper.hidden = true;
    for (const item of stepped()) item.classList.remove("later", "now");
    const row = rows[at];
    at = -1;
    history.replaceState(null, "", row ? `#${encodeURIComponent(row.id)}` : location.pathname + location.search);
    if (row) row.scrollIntoView({ block: "center" });
  }
  const stepping = () => root.classList.contains("stepping");
  // Where stepping starts when the whole page is shown: at the first row in view.
  function first() {
    collect();
    const seen = rows.findIndex((row) => row.getBoundingClientRect().top > 60);
    return seen < 0 || scrollY < 200 ? 0 : seen;
  }

  whole.addEventListener("change", stop);
  steps.addEventListener("change", () => start(first()));
  back.addEventListener("click", () => go(at - 1));
  on.addEventListener("click", () => go(at + 1));
  for (const form of all("input[name=form]")) {
    form.addEventListener("change", () => {
      if (!stepping()) return;
      const [row, before] = [rows[at], at];
      collect();
      go(rows.includes(row) ? rows.indexOf(row) : Math.min(before, rows.length - 1), true);
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("input, summary, .scroll, figure") && event.key !== "Escape") return;
    const moves = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1, Home: -Infinity, End: Infinity };
    if (event.key === "Escape") {
      if (kept !== null) keep(kept);
      else if (stepping()) stop();
    } else if (stepping() && event.key in moves) {
      event.preventDefault();
      go(moves[event.key] === -Infinity ? 0 : moves[event.key] === Infinity ? rows.length - 1 : at + moves[event.key]);
    } else if (!stepping() && event.key === "ArrowRight" && !event.target.closest(".display")) {
      event.preventDefault();
      start(first());
    }
  });

  const asked = /^#at=(.*)$/.exec(location.hash);
  if (asked) {
    collect();
    const row = rows.findIndex((each) => each.id === decodeURIComponent(asked[1]));
    if (row >= 0) start(row);
  }

  // What has to be scrolled sideways can be reached by the keyboard.
  function reachable() {
    for (const box of all(".display, .scroll, figure")) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0; else box.removeAttribute("tabindex");
    }
  }
  addEventListener("resize", reachable);
  document.fonts.ready.then(reachable);
})();
