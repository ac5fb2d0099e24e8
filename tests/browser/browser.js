// The system's Chromium, without a screen and without calls home.
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/** Longest wait for anything to show; the story itself is over in 18 s. */
export const PATIENCE_MS = 40_000;

export function launch() {
  const executablePath = process.env.TIDEGATE_BROWSER;
  if (!executablePath) throw new Error("TIDEGATE_BROWSER must name Chromium or Chrome");
  return chromium.launch({ executablePath, headless: true, args: FLAGS });
}

/** A fresh profile with one page at `url`; the caller closes its context. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  await page.goto(url);
  return page;
}
