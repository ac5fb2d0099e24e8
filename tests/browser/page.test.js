// What the page tells of the fleet, and that it never tells more than it knows.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.js";
import { Demo } from "./demo.js";

let browser;
let demo;

before(async () => {
  [browser, demo] = await Promise.all([launch(), Demo.start()]);
});
after(async () => {
  await browser?.close();
  await demo?.kill();
});

/** A number in large type, by what stands under it. */
const figure = (page, name) => page.locator(".figures div", { hasText: name }).locator("dd");
const badge = (page) => page.locator("#freshness");

/** Waits for `locator` to say something else than it does now. */
async function change(locator) {
  const now = await locator.innerText();
  await locator.filter({ hasNotText: now }).waitFor();
}

test("the page shows each host with its tasks, and the reservation, as the API tells them", async () => {
  // At one virtual second a second both see the same tick.
  const calm = await Demo.start({ speed: 1 });
  try {
    const page = await open(browser, calm.url);
    const cluster = await calm.api();
    const { cpu_percent: cpu, memory_percent: memory } = cluster.reservation;
    assert.ok(cpu > 0 && memory > 0, "the demo begins with tasks on its hosts");
    const legend = page.locator(".legend");
    await legend.getByText(`CPU ${cpu.toFixed(1)} %`).waitFor();
    await legend.getByText(`memory ${memory.toFixed(1)} %`).waitFor();
    const { running, desired } = cluster.tasks;
    await figure(page, "tasks running").getByText(`${running} of ${desired}`).waitFor();

    const drawn = page.locator(".host svg");
    const names = await drawn.evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
    const told = cluster.hosts.map(({ instance, running_tasks, pending_tasks }) => {
      const tasks = running_tasks + pending_tasks;
      return { instance, tasks: `${tasks} task${tasks === 1 ? "" : "s"}` };
    });
    assert.equal(names.length, told.length);
    for (const { instance, tasks } of told) {
      const name = names.find((name) => name.startsWith(`${instance}, `));
      assert.ok(name?.endsWith(`, ${tasks}`), `${instance} has ${tasks}, drawn is ${name}`);
    }
  } finally {
    await calm.kill();
  }
});

test("the numbers change without a reload while the badge says live", async () => {
  const page = await open(browser, demo.url);
  await badge(page).getByText("live").waitFor();
  let loads = 0;
  page.on("load", () => (loads += 1));
  await change(page.locator(".head time"));
  await change(figure(page, "tasks running"));
  await change(page.locator(".label", { hasText: "task" }).first());
  assert.match(await badge(page).innerText(), /live/);
  assert.equal(loads, 0);
  await page.context().close();
});

test("an opened table stays open when news come", async () => {
  const page = await open(browser, demo.url);
  await page.getByText("Hosts as a table").click();
  await change(page.locator(".head time"));
  assert.ok(await page.locator("#hosts table").isVisible());
  await page.context().close();
});

test("a server that dies is called disconnected, and live again once it is back", async () => {
  const mortal = await Demo.start();
  const { port } = mortal;
  const page = await open(browser, mortal.url);
  await badge(page).getByText("live").waitFor();
  await mortal.kill();
  await badge(page).getByText(/disconnected, \d+ s old/).waitFor();
  assert.match(await page.title(), /^!/);
  await badge(page).getByText(/disconnected, [2-9] s old/).waitFor();
  const next = await Demo.start({ port });
  try {
    await badge(page).getByText("live").waitFor();
    await change(page.locator(".head time"));
    assert.doesNotMatch(await page.title(), /^!/);
  } finally {
    await page.context().close();
    await next.kill();
  }
});

test("a server that hangs is called stale, though it is still connected", async () => {
  const hung = await Demo.start();
  try {
    const page = await open(browser, hung.url);
    await page.clock.install();
    await page.reload();
    await badge(page).getByText("live").waitFor();
    hung.freeze();
    await page.clock.fastForward("02:00");
    await badge(page).getByText(/stale 1\d\d s/).waitFor();
    assert.match(await page.title(), /^!/);
  } finally {
    await hung.kill();
  }
});

test("a decision shows what was done, why, and what was held", async () => {
  const page = await open(browser, demo.url);
  const decisions = page.locator(".decisions li");
  for (const part of [".what", ".holds"]) {
    const shown = decisions.filter({ has: page.locator(part) }).first();
    // Read at once: newer decisions push it down and out.
    const [id, text] = await shown.evaluate((li) => [li.dataset.decision, li.textContent]);
    const { actions, holds } = await demo.api(`/decisions/${id}`);
    assert.ok(part === ".what" ? actions.length > 0 : holds.length > 0);
    const told = actions.flatMap((action) => [action.text, action.why]);
    for (const sentence of [...told, ...holds.map((hold) => hold.why)]) {
      assert.ok(text.includes(sentence), `"${sentence}" is missing in: ${text}`);
    }
  }
  await decisions.locator("summary").first().click();
  await decisions.locator(".holds .why").first().waitFor();
  await page.context().close();
});

test("nothing breaks the content security policy and the console stays silent", async () => {
  const page = await open(browser, "about:blank");
  const complaints = [];
  page.on("console", (said) => {
    if (["error", "warning"].includes(said.type())) complaints.push(said.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(demo.url);
  await change(page.locator(".head time"));
  await page.getByText("Hosts as a table").click();
  await page.locator("#order-pause").click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await change(page.locator(".head time"));
  assert.deepEqual(complaints, []);

  // That silence means something: the policy is in force and its breach would be heard.
  const breach = page.waitForEvent("console", (said) => /Content Security Policy/.test(said.text()));
  await page.locator("#said").evaluate((said) => said.setAttribute("style", "color: red"));
  await breach;
  await page.context().close();
});

test("without scripts the whole page is there, dated instead of live", async () => {
  const page = await open(browser, demo.url, { javaScriptEnabled: false });
  await page.getByRole("heading", { name: "shop" }).waitFor();
  for (const name of ["Now", "Reservation", "Fleet", "Plan", "Last decisions", "Pools", "Services"]) {
    await page.getByRole("heading", { name, exact: false }).first().waitFor();
  }
  assert.ok((await page.locator(".host svg").count()) > 0);
  assert.match(await badge(page).innerText(), /as of \d\d:\d\d:\d\d UTC/);
  assert.equal(await page.locator('meta[http-equiv="refresh"]').count(), 1);
  assert.equal(await page.getByRole("button", { name: "Pause" }).count(), 0);
  await page.locator("main noscript code", { hasText: /^tidegate pause --cluster shop/ }).waitFor();
  await page.context().close();
});
