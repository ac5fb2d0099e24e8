// A demo server of its own for whoever asks, as a process like an operator's.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Virtual seconds a second: the whole story in 18 s of the wall. */
const SPEED = 300;
/** A debug build on a busy machine needs some of these until it listens. */
const START_MS = 30_000;

/** Ended with this process, however it ends: a frozen one would not go by itself. */
const alive = new Set();
process.on("exit", () => alive.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

export class Demo {
  /** Listens on any free port unless told; resolves once it does. */
  static async start({ speed = SPEED, port = 0 } = {}) {
    const binary = process.env.TIDEGATE_BIN;
    if (!binary) throw new Error("TIDEGATE_BIN must name the tidegate binary");
    const state = mkdtempSync(join(tmpdir(), "tidegate-demo-"));
    const listen = ["--listen", `127.0.0.1:${port}`];
    const args = ["demo", ...listen, "--speed", String(speed), "--state", state];
    const child = spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"] });
    const demo = new Demo(child);
    await demo.#greeting();
    return demo;
  }

  url = "";
  token = "";
  #child;

  constructor(child) {
    this.#child = child;
    alive.add(child);
    child.once("exit", () => alive.delete(child));
  }

  get port() {
    return Number(new URL(this.url).port);
  }

  /** What the API says of the demo's cluster; `path` begins below it. */
  async api(path = "") {
    const answer = await fetch(new URL(`/api/v1/clusters/shop${path}`, this.url));
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** Holds the process still, connections open; only `kill` comes after it. */
  freeze() {
    this.#child.kill("SIGSTOP");
  }

  /** As a crash does: no goodbye to anyone. */
  async kill() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  /** Reads address and token as a person would, then lets the story's sentences pass. */
  async #greeting() {
    const said = [];
    const lines = createInterface({ input: this.#child.stderr });
    await new Promise((resolve, reject) => {
      const fail = (why) => reject(new Error(`the demo ${why}; it said:\n${said.join("\n")}`));
      const late = setTimeout(() => fail("did not start in time"), START_MS);
      this.#child.once("error", (error) => fail(`could not be run: ${error.message}`));
      this.#child.once("exit", (code) => fail(`ended with ${code}`));
      lines.on("line", (line) => {
        if (this.token) return;
        said.push(line);
        this.url = line.match(/^dashboard\s+(http:\S+)$/)?.[1] ?? this.url;
        this.token = line.match(/^token for changes\s+(\S+)$/)?.[1] ?? "";
        if (!this.token) return;
        clearTimeout(late);
        resolve();
      });
    }).catch(async (error) => {
      await this.kill();
      throw error;
    });
  }
}
