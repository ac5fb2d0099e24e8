// Readable for everyone: in light and dark, on a phone, and by the rules of axe.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { launch, open } from "./browser.js";
import { Demo } from "./demo.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };

/** What the page can look like; each begins with a page of a running demo. */
const STATES = {
  "while hosts come and go, tables open": async (page) => {
    await page.getByText("Hosts as a table").click();
    await page.getByText("As a table", { exact: true }).click();
    await page.locator(".decisions summary").first().click();
    await page.locator(".host:not(.usable)").first().waitFor();
  },
  "while asked for a token": async (page) => {
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("dialog").waitFor();
  },
  "while paused": async (page, demo) => {
    const answer = await fetch(new URL("/api/v1/clusters/shop/pause", demo.url), {
      method: "POST",
      headers: { authorization: `Bearer ${demo.token}`, "content-type": "application/json" },
      body: JSON.stringify({ reason: "a-reason-without-a-space-".repeat(8) }),
    });
    assert.equal(answer.status, 200);
    await page.locator(".banner", { hasText: "Paused" }).waitFor();
  },
  "while disconnected": async (page, demo) => {
    await demo.kill();
    await page.locator("#freshness.lost").waitFor();
  },
  "on the record of changes": async (page, demo) => {
    // As if the browser had asked: a password prompt has no page to look at.
    const authorization = `Bearer ${demo.token}`;
    await page.context().setExtraHTTPHeaders({ authorization });
    await fetch(new URL("/api/v1/clusters/shop/pause", demo.url), {
      method: "POST",
      headers: { authorization, "content-type": "application/json" },
      body: JSON.stringify({ reason: "a-reason-without-a-space-".repeat(8) }),
    });
    await page.goto(new URL("/audit", demo.url).href);
    await page.getByRole("rowheader", { name: "1" }).waitFor();
  },
  "on a cluster that is not there": async (page, demo) => {
    await page.goto(new URL("/clusters/nowhere", demo.url).href);
    await page.getByRole("heading", { name: "No such cluster" }).waitFor();
  },
};

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

for (const [state, reach] of Object.entries(STATES)) {
  describe(state, () => {
    let demo;
    let page;
    before(async () => {
      demo = await Demo.start();
      page = await open(browser, "about:blank", { viewport: WIDE });
      await page.context().addInitScript({ path: AXE });
      await page.goto(demo.url);
      await reach(page, demo);
      // News must not replace what is being looked at.
      demo.freeze();
    });
    after(async () => {
      await page?.context().close();
      await demo?.kill();
    });

    for (const colorScheme of ["light", "dark"]) {
      test(`axe finds nothing wrong in ${colorScheme}, wide and narrow`, async () => {
        await page.emulateMedia({ colorScheme });
        for (const size of [WIDE, PHONE]) {
          await page.setViewportSize(size);
          const { violations, passes } = await page.evaluate(() => window.axe.run());
          assert.ok(passes.length > 10, "axe looked at the page");
          const found = violations.flatMap(({ id, help, nodes }) =>
            nodes.map(({ html, failureSummary }) => `${id}: ${help}\n${html}\n${failureSummary}`),
          );
          assert.deepEqual(found, [], `at ${size.width} px`);
        }
      });
    }

    test("a page 360 px wide never scrolls sideways", async () => {
      await page.setViewportSize(PHONE);
      const [content, room] = await page.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return [scrollWidth, clientWidth];
      });
      assert.equal(room, PHONE.width);
      assert.ok(content <= room, `the content is ${content} px wide`);
    });
  });
}
