// The list of problems. Every text that a model or a data set wrote is set as text, never as HTML.
(() => {
  const PAGE = 50;
  const index = JSON.parse(document.getElementById("index").textContent);
  const packed = [...document.querySelectorAll("script.chunk")];
  const unpacked = new Map(); // chunk number -> promise of its problems
  const $ = (id) => document.getElementById(id);
  const several = index.models.length > 1;
  let matching = [];
  let shown = 0;

  function el(name, className, ...children) {
    const node = document.createElement(name);
    if (className) node.className = className;
    node.append(...children.filter((child) => child !== null));
    return node;
  }

  function pre(text) {
    const node = el("pre", "", text);
    node.tabIndex = 0;
    return node;
  }

  // ---- what a problem came to ------------------------------------------------------------------------------------

  const CODER = {
    solved: (o) => o.answers > 0 && o.right === o.answers,
    "partly solved": (o) => o.right > 0 && o.right < o.answers,
    "not solved": (o) => o.answers > 0 && o.right === 0 && o.hidden < o.answers,
    "no program": (o) => o.unparsed > 0,
    "hidden by a failure": (o) => o.hidden > 0,
  };
  const TESTER = {
    "all tests valid": (o) => o.tests > 0 && o.valid === o.tests,
    "an invalid test": (o) => o.valid < o.tests,
    "no test": (o) => o.untested > 0,
    "kills a mutant": (o) => o.kills !== null && o.kills > 0,
    "kills none": (o) => o.kills === 0,
  };

  function chip(mood, text, title) {
    const node = el("span", mood, text);
    node.title = title;
    return node;
  }

  function coderChip(o) {
    if (!o || !o.answers) return el("span");
    if (o.answers > 1) return chip(o.right === o.answers ? "good" : o.right ? "unsure" : "bad", `${o.right}/${o.answers}`, "answers that pass every official test");
    if (o.right) return chip("good", "✓", "solved");
    if (o.hidden) return chip("unsure", "?", "hidden by a failure of the sandbox");
    return o.unparsed ? chip("bad", "∅", "no program in the answer") : chip("bad", "✗", "fails an official test");
  }

  function testerChips(o) {
    if (!o || !o.tester) return [el("span"), el("span")];
    if (!o.tests) return [chip("bad", "∅", "no test in the answer"), el("span")];
    const mood = o.valid === o.tests ? "good" : o.valid ? "unsure" : "bad";
    const killed = o.kills === null ? "" : `${Math.round(100 * o.kills)} %`;
    return [chip(mood, `${o.valid}/${o.tests}`, "tests that the reference passes"), chip("", killed, "mutants killed by a test, on average")];
  }

  function differ(outcomes) {
    const known = outcomes.filter((o) => o !== null);
    return known.some((o) => o.right !== known[0].right || o.valid !== known[0].valid || o.tests !== known[0].tests || o.kills !== known[0].kills);
  }

  // ---- the list --------------------------------------------------------------------------------------------------

  function row(n) {
    const problem = index.problems[n];
    const node = el("details");
    node.dataset.n = n;
    const outcomes = problem.outcomes.map((o, m) => el("span", `outcome m${m % 6}`, coderChip(o), ...testerChips(o)));
    const id = el("span", "id", el("bdi", "", problem.id));
    const title = el("span", "title", problem.difficulty ? el("small", "", problem.difficulty) : null, problem.title);
    node.append(el("summary", "", id, title, ...outcomes));
    node.addEventListener("toggle", () => { if (node.open) fill(node, n); });
    return node;
  }

  async function fill(node, n) {
    if (node.childElementCount > 1) return;
    const body = el("div", "body", el("p", "note", "…"));
    node.append(body);
    try {
      const problems = await chunk(Math.floor(n / index.chunk));
      body.replaceChildren(...detail(problems[n % index.chunk]));
    } catch (error) {
      body.replaceChildren(el("p", "bad", `cannot be unpacked: ${error}`));
    }
  }

  function chunk(number) {
    if (!unpacked.has(number)) {
      const binary = atob(packed[number].textContent);
      const bytes = new Uint8Array(binary.length);
      for (let n = 0; n < bytes.length; n++) bytes[n] = binary.charCodeAt(n);
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      unpacked.set(number, new Response(stream).json());
    }
    return unpacked.get(number);
  }

  function detail(problem) {
    const parts = [el("h4", "", "statement"), pre(problem.statement)];
    if (problem.signature) parts.push(pre(problem.signature));
    if (problem.tests.length) {
      const more = problem.total - problem.tests.length;
      parts.push(el("h4", "", `official tests${more ? ` (${problem.tests.length} of ${problem.total})` : ""}`), officialTests(problem));
    }
    problem.models.forEach((found, m) => {
      if (!found) return;
      if (several) parts.push(el("h3", "", el("i", `m${m % 6}`), el("bdi", "", index.models[m])));
      parts.push(el("div", "answers", ...found.coder.map(coderAnswer), ...found.tester.map(testerAnswer)));
    });
    return parts;
  }

  function officialTests(problem) {
    const verdicts = problem.models.flatMap((found) => (found ? found.coder.map((answer) => answer.verdicts) : []));
    const rows = problem.tests.map(([n, code, output]) =>
      el("tr", "", el("td", "nowrap", `${n + 1}`), ...testCells(code, output),
        ...verdicts.map((runs) => el("td", "nowrap", verdict(verdictAt(runs, n))))));
    return el("table", "tests", ...rows);
  }

  function testCells(code, output) {
    return output === "" ? [el("td", "", pre(code))] : [el("td", "", pre(code)), el("td", "", pre(output))];
  }

  function verdictAt(runs, n) {
    for (const [name, length] of runs) {
      if (n < length) return name;
      n -= length;
    }
    return "not run";
  }

  function verdict(name) {
    const mood = name === "pass" ? "good" : ["infra", "cancelled", "skipped", "not run"].includes(name) ? "unsure" : "bad";
    return el("span", mood, name);
  }

  function heading(role, answer) {
    const flaws = [answer.error, answer.truncated ? "cut at the token limit" : null].filter((flaw) => flaw);
    const node = el("h4", "", role);
    if (flaws.length) node.append(" ", el("span", "bad", flaws.join("; ")));
    return node;
  }

  function coderAnswer(answer) {
    const word = answer.correct === null ? "hidden by a failure" : answer.correct ? "solved" : "not solved";
    const counts = new Map();
    for (const [name, length] of answer.verdicts) counts.set(name, (counts.get(name) || 0) + length);
    const tally = [...counts].map(([name, length]) => `${length} ${name}`).join(", ");
    const mood = answer.correct === null ? "unsure" : answer.correct ? "good" : "bad";
    return el("div", "", heading("coder's answer", answer), pre(answer.text),
      el("p", "note", el("span", mood, word), tally ? `; official tests: ${tally}` : ""));
  }

  function testerAnswer(answer) {
    const rows = answer.tests.map(([code, output, name, kills]) =>
      el("tr", "", ...testCells(code, output), el("td", "nowrap", verdict(name)),
        el("td", "nowrap", kills === null ? "" : `kills ${Math.round(100 * kills)} %`)));
    return el("div", "", heading("tester's answer", answer), pre(answer.text),
      el("p", "note", `${answer.tests.length} tests, run against the reference and its ${answer.mutants} mutants`),
      el("table", "tests", ...rows));
  }

  // ---- filters ---------------------------------------------------------------------------------------------------

  function options(select, values, any) {
    select.append(new Option(any, ""), ...values.map(([text, value]) => new Option(text, value)));
    if (values.length < 2) select.parentElement.style.display = "none";
  }

  function distinct(values) {
    return [...new Set(values)].filter((value) => value !== "").sort().map((value) => [value, value]);
  }

  function passes(problem) {
    const model = $("model").value;
    const outcomes = (model === "" ? problem.outcomes : [problem.outcomes[Number(model)]]).filter((o) => o !== null);
    const some = (test) => outcomes.some(test);
    return (
      ($("benchmark").value === "" || problem.benchmark === $("benchmark").value) &&
      ($("difficulty").value === "" || problem.difficulty === $("difficulty").value) &&
      (model === "" || outcomes.length > 0) &&
      ($("coder").value === "" || some(CODER[$("coder").value])) &&
      ($("tester").value === "" || some((o) => o.tester > 0 && TESTER[$("tester").value](o))) &&
      ($("verdict").value === "" || some((o) => o.verdicts.includes($("verdict").value))) &&
      (!$("differ").checked || differ(problem.outcomes))
    );
  }

  // The text that a search looks through; unpacking everything takes a moment, so it happens at the first search.
  const texts = new Map();
  async function text(n) {
    if (!texts.has(n)) {
      const found = (await chunk(Math.floor(n / index.chunk)))[n % index.chunk];
      texts.set(n, [index.problems[n].id, ...strings(found)].join("\n").toLowerCase());
    }
    return texts.get(n);
  }

  function strings(value) {
    if (typeof value === "string") return [value];
    return value !== null && typeof value === "object" ? Object.values(value).flatMap(strings) : [];
  }

  let asked = 0;
  async function update() {
    const mine = ++asked;
    const wanted = $("search").value.trim().toLowerCase();
    let found = index.problems.map((_, n) => n).filter((n) => passes(index.problems[n]));
    if (wanted) {
      $("count").textContent = "searching …";
      const inText = [];
      for (const n of found) if ((await text(n)).includes(wanted)) inText.push(n);
      found = inText;
    }
    if (mine !== asked) return; // something newer was asked for
    matching = found;
    shown = 0;
    $("list").replaceChildren(heads());
    more();
    $("count").textContent = `${matching.length} of ${index.problems.length} problems`;
  }

  function heads() {
    const models = index.models.map((model, m) => {
      const node = el("span", `outcome m${m % 6}`, el("span", "", "coder"), el("span", "", "valid"), el("span", "", "kills"));
      node.title = model;
      return node;
    });
    return el("div", "heads", el("span", "id", "problem"), el("span", "title", "statement"), ...models);
  }

  function more() {
    $("list").append(...matching.slice(shown, shown + PAGE).map(row));
    shown = Math.min(shown + PAGE, matching.length);
    $("more").hidden = shown === matching.length;
  }

  // A page's address may name a problem, #mbpp/11: it is shown opened.
  function follow() {
    let name = "";
    try { name = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const n = index.problems.findIndex((problem) => problem.id === name);
    if (n < 0) return;
    asked++;
    matching = [n];
    shown = 0;
    $("list").replaceChildren(heads());
    more();
    $("count").textContent = `1 of ${index.problems.length} problems`;
    $("list").lastElementChild.open = true;
    fill($("list").lastElementChild, n).then(() => $("count").scrollIntoView());
  }

  // ---- start -----------------------------------------------------------------------------------------------------

  options($("benchmark"), distinct(index.problems.map((problem) => problem.benchmark)), "all");
  options($("difficulty"), distinct(index.problems.map((problem) => problem.difficulty)), "all");
  options($("model"), index.models.map((model, m) => [model, String(m)]), "any");
  options($("coder"), Object.keys(CODER).map((name) => [name, name]), "any");
  options($("tester"), Object.keys(TESTER).map((name) => [name, name]), "any");
  options($("verdict"), distinct(index.problems.flatMap((problem) => problem.outcomes.flatMap((o) => (o ? o.verdicts : [])))), "any");
  if (!several) $("differ").parentElement.style.display = "none";
  $("filters").hidden = false;
  $("filters").addEventListener("input", update);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(update));
  $("more").addEventListener("click", () => {
    const first = shown;
    more();
    $("list").children[first + 1].firstElementChild.focus(); // the keyboard goes on where the list went on
  });
  window.addEventListener("hashchange", follow);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) {
      event.preventDefault();
      $("search").focus();
    }
  });

  update().then(follow);
})();
