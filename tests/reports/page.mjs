// Uses the page as a reader does: filters, deep links, keys. Fails where it does not do what it says, where anything is
// requested from outside, and where what an agent wrote became more than text.
import { createRequire } from "node:module";
const [, , modules, executablePath, address, text] = process.argv;
const { chromium } = createRequire(modules + "/")("playwright-core");
const check = (condition, what) => { if (!condition) throw new Error(what); };
const equal = (found, wanted, what) => check(found === wanted, `${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  page.setDefaultTimeout(120_000);
  const requests = [], wrong = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("dialog", (dialog) => { wrong.push("a dialog"); dialog.dismiss(); });
  page.on("console", (message) => { if (message.type() === "error") wrong.push(message.text()); });
  await page.goto(address);
  const count = () => page.locator(".count").textContent();
  const visible = () => page.locator("article:visible").count();
  equal(await count(), "3 of 3 findings", "all are shown at first");

  // Filters.
  await page.locator("button[data-filter=covert]").click();
  equal(await page.locator("button[data-filter=covert]").getAttribute("aria-pressed"), "false", "a class is switched off");
  equal(await count(), "2 of 3 findings", "one class less");
  equal(await visible(), 2, "as many as are counted");
  await page.locator("button[data-filter=covert]").click();
  await page.locator("button[data-filter=explained]").click();
  equal(await count(), "2 of 3 findings", "what is explained is hidden");
  await page.locator("button[data-filter=explained]").click();
  await page.locator(".toolbar select").selectOption({ label: "zone" });
  equal(await count(), "2 of 3 findings", "one factor");
  await page.locator(".toolbar select").selectOption({ label: "every factor" });

  // Keys: search, clear, next, open.
  await page.locator("h1").click();
  await page.keyboard.press("/");
  await page.keyboard.type("zero width");
  equal(await count(), "1 of 3 findings", "found by the name of a code point");
  await page.keyboard.press("Escape");
  equal(await count(), "3 of 3 findings", "cleared");
  await page.keyboard.press("j");
  equal(await page.evaluate(() => document.activeElement.id), "f000000001", "the first");
  await page.keyboard.press("j");
  equal(await page.evaluate(() => document.activeElement.id), "f000000002", "the next");
  await page.keyboard.press("o");
  equal(await page.locator("#f000000002 > details").evaluate((node) => node.open), false, "closed");
  await page.keyboard.press("k");
  equal(await page.evaluate(() => document.activeElement.id), "f000000001", "back");

  // Deep link to what is hidden and closed.
  await page.locator("button[data-filter=explained]").click();
  await page.goto(address + "#f000000003");
  await page.waitForFunction(() => document.activeElement && document.activeElement.id === "f000000003");
  equal(await page.locator("#f000000003 > details").evaluate((node) => node.open), true, "opened by its link");
  equal(await count(), "3 of 3 findings", "a link shows what a filter hid");

  // What cannot be seen is drawn, and named.
  const first = page.locator("#f000000001");
  equal(await first.locator("ins .box").first().textContent(), "U+200B", "the invisible is a box");
  equal(await first.locator("ins .box").first().getAttribute("title"), "U+200B ZERO WIDTH SPACE", "with its name");
  // Evidence by run, and how much attention it asks for.
  equal(await first.locator("svg.curve circle").count(), 3, "E after each run with coins");
  check((await first.locator(".headline .value").textContent()).startsWith("severity high"), "severity");
  // The table of levels, and another choice of columns.
  const cells = await first.locator("table.matrix").first().locator("td").allTextContents();
  equal(cells.join("|"), "plain ×6|planU+200Bin ×5", "what was seen by level");
  await first.locator(".pick select").nth(2).selectOption({ label: "host" });
  equal(await first.locator("table.matrix").first().locator("thead th").count(), 3, "two levels across");
  // The heat map: complete for the factor of the rule.
  await page.locator("#map").scrollIntoViewIfNeeded();
  const heat = page.locator("table.heat tbody").first().locator("td.v");
  check((await heat.first().textContent()).startsWith("1.00"), "V of the rule's factor");
  check(!(await heat.nth(1).textContent()).startsWith("1.00"), "V of the other factor");
  // The timeline by keys.
  await page.mouse.move(1, 1);
  await page.locator("svg.line").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  check((await page.locator(".readout").textContent()).startsWith("c0001 · cover"), "the second cell");

  // What an agent wrote is text.
  const body = await page.locator("body").textContent();
  check(body.includes(text), "hostile text is shown as text");
  equal(await page.locator("img, iframe, object, embed, link, base, form").count(), 0, "elements of an agent");
  equal(await page.locator("script").count(), 2, "scripts");
  equal(await page.evaluate(() => window.hacked), undefined, "a script of an agent's ran");
  // The policy holds: neither a style attribute nor a script that is added does anything, and nothing can be fetched.
  const refused = await page.evaluate(async () => {
    const node = document.createElement("script");
    node.textContent = "window.hacked = true";
    document.body.append(node);
    const fetched = await fetch("https://outside.example/").then(() => "fetched", () => "refused");
    return [window.hacked, fetched].join();
  });
  equal(refused, ",refused", "the policy");
  const said = wrong.filter((line) => !/Content Security Policy/.test(line));
  equal(said.join("\n"), "", "errors");
  check(wrong.length > said.length, "the policy was not asked: the control failed");

  // Printed, every finding is open and every table is there.
  await page.emulateMedia({ media: "print" });
  await page.pdf();
  equal(await page.locator("article > details:not([open])").count(), 0, "closed findings on paper");
  await page.emulateMedia({ media: "screen" });
  // Narrow and dark: nothing is wider than the window.
  for (const [width, colorScheme] of [[420, "light"], [1400, "dark"]]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(wide <= 0, `at ${width} columns the page is ${wide} too wide`);
  }
  const outside = requests.filter((url) => !url.startsWith("file://"));
  equal(outside.join(), "", "requests to outside");
  console.log(`good: ${requests.length} file(s) read`);
} finally {
  await browser.close();
}
