// Orders given on the page: only with the token, and without a mouse as well.
import assert from "node:assert/strict";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { launch, open } from "./browser.js";
import { Demo } from "./demo.js";

let browser;
let demo;
let page;

before(async () => {
  [browser, demo] = await Promise.all([launch(), Demo.start()]);
});
beforeEach(async () => {
  page = await open(browser, demo.url);
});
afterEach(async () => {
  await page?.context().close();
});
after(async () => {
  await browser?.close();
  await demo?.kill();
});

/** A button of the cluster; the cards of cutovers have some of the same name. */
const button = (name) =>
  page.locator("button:not([data-cutover]):not([data-release])").and(page.getByRole("button", { name }));
const banner = () => page.locator(".banner", { hasText: "Paused" });
const dialog = () => page.getByRole("dialog");

async function answer({ actor, reason, token }) {
  if (actor) await dialog().getByLabel("Your name").fill(actor);
  await dialog().getByLabel("Reason").fill(reason);
  await dialog().getByLabel("Token").fill(token);
  await dialog().locator("[type=submit]").click();
}

/** Goes on with the Tab key until `name` has the focus. */
async function tabTo(name) {
  const focused = page.locator(":focus").and(button(name));
  for (let presses = 0; presses < 30; presses += 1) {
    await page.keyboard.press("Tab");
    if ((await focused.count()) > 0) return;
  }
  assert.fail(`30 times Tab do not reach ${name}`);
}

test("a pause with a wrong token is refused and says so", async () => {
  await button("Pause").click();
  await answer({ actor: "ada", reason: "incident 7", token: "0123456789abcdef" });
  await page.getByRole("alert").getByText("not known here").waitFor();
  assert.ok(await dialog().isVisible());
  assert.equal((await demo.api()).pause, null);
});

test("a pause with the right token is shown with name and reason until a resume lifts it", async () => {
  await button("Pause").click();
  await answer({ actor: "ada", reason: "incident 7", token: demo.token });
  await banner().getByText("by ada since").waitFor();
  await banner().getByText("incident 7").waitFor();
  await dialog().waitFor({ state: "hidden" });
  const { by, reason } = (await demo.api()).pause;
  assert.deepEqual({ by, reason }, { by: "ada", reason: "incident 7" });
  assert.equal(await button("Pause").count(), 0);

  await button("Resume").click();
  await answer({ reason: "all well", token: demo.token });
  await banner().waitFor({ state: "detached" });
  await button("Pause").waitFor();
  assert.equal((await demo.api()).pause, null);
});

test("the mode can be lowered and raised again on the page", async () => {
  const mode = page.locator(".tag").first();
  await button("Set observe").click();
  await answer({ actor: "ada", reason: "to look only", token: demo.token });
  await mode.getByText("observe: nothing is changed").waitFor();
  await button("Set act").click();
  await answer({ reason: "looked enough", token: demo.token });
  await mode.getByText("act: scale out").waitFor();
});

test("the keyboard alone pauses and resumes", async () => {
  await tabTo("Pause");
  await page.keyboard.press("Enter");
  await page.keyboard.type("ada");
  await page.keyboard.press("Tab");
  await page.keyboard.type("incident 8");
  await page.keyboard.press("Tab");
  await page.keyboard.type(demo.token);
  await page.keyboard.press("Enter");
  await banner().getByText("incident 8").waitFor();

  // The focus goes to the order that took the other's place.
  await page.locator("#order-resume:focus").waitFor();
  await page.keyboard.press("Enter");
  await page.keyboard.type("all well");
  await page.keyboard.press("Enter");
  await banner().waitFor({ state: "detached" });
});

test("Escape leaves the dialog and gives the focus back", async () => {
  await tabTo("Pause");
  await page.keyboard.press("Enter");
  await dialog().waitFor();
  // News replace the button meanwhile.
  const time = page.locator(".head time");
  await time.filter({ hasNotText: await time.innerText() }).waitFor();
  await page.keyboard.press("Escape");
  await dialog().waitFor({ state: "hidden" });
  await page.locator("#order-pause:focus").waitFor();
});

test("the focus stays where it is when news come", async () => {
  const time = page.locator(".head time");
  await page.locator("#live").waitFor();
  for (const id of ["points-summary", "hosts-summary", "pools-scroll"]) {
    // In one go: news may come between finding it and giving it the focus.
    const shown = await page.evaluate((id) => {
      document.getElementById(id).focus();
      return document.querySelector(".head time").textContent;
    }, id);
    await time.filter({ hasNotText: shown }).waitFor();
    assert.equal(await page.locator(`#${id}:focus`).count(), 1);
  }
});

test("a click counts though news come between press and release", async () => {
  await page.locator("#freshness.live").waitFor();
  await button("Pause").hover();
  await page.mouse.down();
  const news = () => page.waitForResponse((answer) => answer.url().endsWith("/fragment"));
  await news();
  await news();
  await page.mouse.up();
  await dialog().waitFor();
});

test("a browser that was given the token shows the changes and orders without asking again", async () => {
  await page.context().close();
  const httpCredentials = { username: "ada", password: demo.token };
  page = await open(browser, new URL("/audit", demo.url).href, { httpCredentials });
  await page.getByRole("heading", { name: "Changes" }).waitFor();
  await page.goto(demo.url);
  await button("Pause").click();
  await dialog().getByText("You are token, admin.").waitFor();
  assert.equal(await dialog().getByLabel("Token").count(), 0);
  await dialog().getByLabel("Your name").fill("ada");
  await dialog().getByLabel("Reason").fill("incident 9");
  await dialog().locator("[type=submit]").click();
  await banner().getByText("incident 9").waitFor();
  await page.getByRole("link", { name: "Changes" }).click();
  const newest = page.locator("tbody tr").first();
  await newest.getByText("incident 9").waitFor();
  assert.match(await newest.innerText(), /ada[^]*pause shop[^]*done/);
});
