// Keeps a cluster's page live: hears of news, fetches the page's changing part, puts it in place.
// Also turns the order buttons into a form. The page is complete without it.
"use strict";
(() => {
  const live = document.getElementById("live");
  const badge = document.getElementById("freshness");
  const said = document.getElementById("said");
  const cluster = live.dataset.cluster;
  // Three ticks without news are late.
  const staleAfterMs = Math.max(30, 3 * Number(live.dataset.interval)) * 1000;
  let newsAt = Date.now();
  let shownAt = null;
  let fetching = false;
  let again = false;
  // Whether the first attempt has ended, one way or the other.
  let tried = false;
  // A press that ends on another element than it began on is no click: news wait for its end.
  let pressed = false;
  let kept = null;

  const latest = () => live.querySelector("[data-decision]")?.dataset.decision;

  const ready = () => {
    for (const part of live.querySelectorAll(".needs-script")) part.hidden = false;
  };

  const focusOn = (id) => {
    // An order that was obeyed may be gone: the last of those beside it takes its place.
    const beside = id.replace(/(^|-)order-[^-]*$/, "$1order");
    const heir = beside === id ? null : document.getElementById(beside)?.querySelector("button:last-child");
    (document.getElementById(id) ?? heir)?.focus({ preventScroll: true });
  };

  const put = (html) => {
    if (pressed) { kept = html; return; }
    const open = [...live.querySelectorAll("details[open]")].map((part) => part.id);
    const scrolled = [...live.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
    const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
    const before = latest();
    live.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    live.querySelectorAll(".scroll").forEach((part, i) => { part.scrollLeft = scrolled[i] ?? 0; });
    ready();
    if (focused) focusOn(focused);
    const now = latest();
    if (now && now !== before) {
      said.textContent = live.querySelector("[data-decision] .what")?.textContent ?? "";
    }
  };

  for (const begin of ["pointerdown", "keydown"]) {
    live.addEventListener(begin, () => { pressed = true; });
  }
  for (const end of ["pointerup", "pointercancel", "keyup", "blur"]) {
    // The click comes after the release.
    window.addEventListener(end, () => setTimeout(() => {
      pressed = false;
      if (kept === null) return;
      const html = kept;
      kept = null;
      put(html);
    }));
  }

  const refresh = async () => {
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const answer = await fetch(`/clusters/${encodeURIComponent(cluster)}/fragment`);
      if (answer.ok) { put(await answer.text()); newsAt = Date.now(); }
    } catch { /* the badge tells */ }
    // Ticks may come faster than anyone can read.
    setTimeout(() => { fetching = false; if (again) { again = false; refresh(); } }, 500);
  };

  const stream = new EventSource("/api/v1/stream");
  stream.addEventListener("status", (event) => {
    const mine = JSON.parse(event.data).clusters.find((one) => one.name === cluster);
    if (mine && mine.at !== shownAt) { shownAt = mine.at; refresh(); }
  });

  const tell = () => {
    const age = Math.round((Date.now() - newsAt) / 1000);
    let state = ["live", "● live"];
    if (!tried && stream.readyState === EventSource.CONNECTING) state = ["", "◌ connecting"];
    else if (stream.readyState !== EventSource.OPEN) state = ["lost", `✕ disconnected, ${age} s old`];
    else if (age * 1000 > staleAfterMs) state = ["stale", `◔ stale ${age} s`];
    else if (age > 4) state = ["live", `● live, ${age} s`];
    badge.className = `badge ${state[0]}`;
    if (badge.textContent !== state[1]) badge.textContent = state[1];
    const warning = ["lost", "stale"].includes(state[0]) ? "! " : "";
    document.title = `${warning}${cluster} · Tidegate`;
  };
  for (const end of ["open", "error"]) {
    stream.addEventListener(end, () => { tried = true; tell(); });
  }
  setInterval(tell, 1000);
  // A dropped stream is taken up again by the browser; one the server refused is not.
  setInterval(() => { if (stream.readyState === EventSource.CLOSED) location.reload(); }, 30000);

  const ask = document.getElementById("ask");
  const form = ask.querySelector("form");
  const error = document.getElementById("ask-error");
  const titles = { pause: "Pause", resume: "Resume", mode: "Set mode" };
  const steers = {
    start: ["Start", "Rules and tasks are made ready; users are sent once a probe was answered."],
    pause: ["Pause", "No step forward is taken. Weights stay as they are; a gate that fails still leads back."],
    resume: ["Resume", "What the rules say now is where it goes on from. The present step is watched anew."],
    promote: ["Promote", "The next step passes without approval, bake time or more requests."],
    finalize: ["Finalize", "The old service is given up now. After that only undo leads back."],
    undo: ["Undo", "The old service is provided again, and then gets its requests back."],
    abort: ["Abort", "The old service gets every request back, and the rules of the cutover are removed."],
    rollback: ["Roll back", "The old service gets every request back at once."],
  };
  const releases = {
    abort: ["Abort the release of", "Before its deployment nothing changes; after it the revision from before is brought back."],
  };
  const texts = {
    pause: "Nothing is written to AWS until somebody resumes. A request under way is finished.",
    resume: "Writing goes on, breakers close, and pools lowered to recommend may be written again.",
    mode: "The configuration's ceiling still holds.",
  };
  let order = null;

  live.addEventListener("click", (event) => {
    const button = event.target.closest("[data-order]");
    if (!button) return;
    order = { id: button.id, ...button.dataset };
    const [steer, told] = order.cutover ? steers[order.order]
      : order.release ? releases[order.order] : [];
    const title = steer ? `${steer} ${order.cutover ?? order.release}`
      : order.mode ? `${titles.mode} ${order.mode}` : titles[order.order];
    document.getElementById("ask-title").textContent = title;
    document.getElementById("ask-go").textContent = title;
    document.getElementById("ask-text").textContent = told ?? texts[order.order];
    document.getElementById("ask-cli").textContent = order.cli;
    error.textContent = "";
    ask.showModal();
    const { actor, reason } = form.elements;
    (actor && !actor.value ? actor : reason).focus();
  });
  document.getElementById("ask-cancel").addEventListener("click", () => ask.close());
  // The button that opened it may have been replaced meanwhile.
  ask.addEventListener("close", () => focusOn(order.id));

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const go = document.getElementById("ask-go");
    const body = { reason: form.elements.reason.value };
    if (order.mode) body.mode = order.mode;
    // No page elsewhere can make a browser send the second one.
    const headers = { "Content-Type": "application/json", "x-tidegate-page": "1" };
    // Without the field the browser says by itself who asks.
    const token = form.elements.token?.value.trim();
    if (token) headers.Authorization = `Bearer ${token}`;
    // Header values hold ASCII only.
    const actor = form.elements.actor?.value.replace(/[^\x20-\x7e]/g, "?").trim();
    if (actor) headers["x-tidegate-actor"] = actor;
    go.disabled = true;
    try {
      const of = order.cutover ? `cutovers/${encodeURIComponent(order.cutover)}/`
        : order.release ? `releases/${encodeURIComponent(order.release)}/` : "";
      const path = `/api/v1/clusters/${encodeURIComponent(cluster)}/${of}${order.order}`;
      const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
      if (answer.ok) {
        form.elements.reason.value = "";
        ask.close();
        refresh();
      } else {
        const problem = await answer.json();
        error.textContent = answer.status === 401
          ? "The token is not known here, or no longer good."
          : `${problem.detail}: ${problem.hint}`;
      }
    } catch {
      error.textContent = "The server could not be reached. Use the command line.";
    } finally {
      go.disabled = false;
    }
  });

  ready();
  tell();
})();
