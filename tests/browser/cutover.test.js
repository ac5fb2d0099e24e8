// A cutover on the page: what is said of it, and that its orders go where they should. The page is
// a kept one, under the demo's address: the demo's own fleet has no cutover.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { launch, open } from "./browser.js";
import { Demo } from "./demo.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const KEPT = await readFile(new URL("cutover.html", import.meta.url), "utf8");
const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };

let browser;
let demo;
let page;
let complaints;
/** Orders that the page has sent. */
let orders;

before(async () => {
  [browser, demo] = await Promise.all([launch(), Demo.start()]);
});
beforeEach(async () => {
  page = await open(browser, "about:blank", { viewport: WIDE });
  await page.context().addInitScript({ path: AXE });
  [orders, complaints] = [[], []];
  page.on("console", (said) => {
    if (["error", "warning"].includes(said.type())) complaints.push(said.text());
  });
  // The demo's own headers, so that its content security policy is in force.
  await page.route("**/clusters/web", async (route) => {
    const shop = await route.fetch({ url: new URL("/clusters/shop", demo.url).href });
    await route.fulfill({ response: shop, body: KEPT });
  });
  const [, live] = KEPT.match(/<div id="live"[^>]*>([^]*)<\/div>\s*<dialog/);
  await page.route("**/clusters/web/fragment", (route) =>
    route.fulfill({ contentType: "text/html", body: live }),
  );
  await page.route("**/api/v1/clusters/web/**", async (route) => {
    const request = route.request();
    orders.push({
      path: new URL(request.url()).pathname,
      body: request.postDataJSON(),
      token: request.headers().authorization,
      actor: request.headers()["x-tidegate-actor"],
    });
    await route.fulfill({ json: { seq: 42, changes: [] } });
  });
  await page.goto(new URL("/clusters/web", demo.url).href);
});
afterEach(async () => {
  await page?.context().close();
});
after(async () => {
  await browser?.close();
  await demo?.kill();
});

const card = () => page.locator(".cutover");
const dialog = () => page.getByRole("dialog");
const button = (name) => card().getByRole("button", { name });

test("weights, stage, timer, gates, worst case and what is waited for are all there", async () => {
  await page.getByRole("heading", { name: /^Cutover break/ }).waitFor();
  for (const said of [
    "shifting, step 2 of 3",
    /watched until \d\d:\d\d:\d\d UTC, \d+ min left/,
    /Worst case: if green is wholly broken at 50 %, about [\d,]+ requests fail before rollback/,
    "break/users comes first",
  ]) {
    await card().getByText(said).first().waitFor();
  }
  await card().getByRole("img", { name: "users 50 %, api 50 %" }).waitFor();
  const gate = card().getByRole("row", { name: /^5xx share/ });
  assert.match(await gate.innerText(), /pass\s+0\.00 % of \d+\s+1\.00 %/);
  const now = card().locator("[aria-current=step]");
  assert.deepEqual(await now.allInnerTexts(), ["▶ shifting", "▶ probed"]);
});

test("the bar is filled as far as the weight says", async () => {
  const bar = card().locator(".weight").first();
  const [all, green] = await Promise.all([
    bar.locator(".blue").boundingBox(),
    bar.locator(".green").boundingBox(),
  ]);
  assert.ok(Math.abs(green.width / all.width - 0.5) < 0.02, `${green.width} of ${all.width}`);
});

test("only orders that would do something have a button", async () => {
  const names = await card().locator(".orders button").allInnerTexts();
  assert.deepEqual(names, ["» Promote", "❚❚ Pause", "✕ Abort", "↶ Roll back"]);
});

for (const [name, verb] of [
  ["Promote", "promote"],
  ["Pause", "pause"],
  ["Abort", "abort"],
  ["Roll back", "rollback"],
]) {
  test(`${name} asks first and then goes to the cutover, with token, name and reason`, async () => {
    await button(name).click();
    await dialog().getByRole("heading", { name: `${name} break` }).waitFor();
    await dialog().getByText(`tidegate cutover ${verb} break --cluster web`).waitFor();
    assert.deepEqual(orders, [], "nothing is ordered by the first press");
    await dialog().getByLabel("Your name").fill("ada");
    await dialog().getByLabel("Reason").fill("as planned");
    await dialog().getByLabel("Token").fill("0123456789abcdef");
    await dialog().locator("[type=submit]").click();
    await dialog().waitFor({ state: "hidden" });
    assert.deepEqual(orders, [
      {
        path: `/api/v1/clusters/web/cutovers/break/${verb}`,
        body: { reason: "as planned" },
        token: "Bearer 0123456789abcdef",
        actor: "ada",
      },
    ]);
    await page.locator(`#cutover-break-order-${verb}:focus`).waitFor();
    assert.deepEqual(complaints, []);
  });
}

test("a refusal is shown with what to do instead", async () => {
  await page.route("**/cutovers/break/promote", (route) =>
    route.fulfill({
      status: 409,
      json: { detail: "cutover `break` is not open", hint: "start it" },
    }),
  );
  await button("Promote").click();
  await dialog().getByLabel("Reason").fill("now");
  await dialog().getByLabel("Token").fill("0123456789abcdef");
  await dialog().locator("[type=submit]").click();
  await page.getByRole("alert").getByText("cutover `break` is not open: start it").waitFor();
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing wrong in ${colorScheme}, and no page scrolls sideways`, async () => {
    await page.emulateMedia({ colorScheme });
    for (const summary of await card().locator("summary").all()) await summary.click();
    for (const size of [WIDE, PHONE]) {
      await page.setViewportSize(size);
      const { violations } = await page.evaluate(() => window.axe.run());
      const found = violations.flatMap(({ id, help, nodes }) =>
        nodes.map(({ html, failureSummary }) => `${id}: ${help}\n${html}\n${failureSummary}`),
      );
      assert.deepEqual(found, [], `at ${size.width} px`);
      const content = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(content <= size.width, `the content is ${content} of ${size.width} px wide`);
    }
  });
}
