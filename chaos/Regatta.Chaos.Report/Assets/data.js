// The run's data, unpacked: seconds since the start, milliseconds of latency, texts in place of their numbers.
const raw = JSON.parse(document.getElementById("data").textContent);
const text = place => raw.texts[place];
const orEnd = time => time === null ? Infinity : time;

const faults = raw.faults
  .map(([kind, target, from, until, note]) => ({ kind: text(kind), target: text(target), from: from ?? 0, until: orEnd(until), note: text(note) }))
  .sort((a, b) => a.from - b.from);

const events = raw.events.map(([node, at, what]) => ({ node: text(node), at: at ?? 0, what: text(what) })).sort((a, b) => a.at - b.at);

const outcomes = ["answered", "refused", "unknown"];

const asCall = ([client, node, kind, what, answer, outcome, began, ended]) => ({
  client: text(client), node: text(node), kind: text(kind), what: text(what), answer: text(answer),
  outcome: outcomes[outcome], began: began ?? 0, ended: orEnd(ended)
});

const calls = raw.calls.map(asCall).sort((a, b) => a.began - b.began);
const core = raw.core.map(asCall).sort((a, b) => a.began - b.began);
const clients = [...new Set(calls.map(call => call.client))].sort();
const longestCall = calls.reduce((longest, call) => Math.max(longest, Math.min(60, call.ended - call.began)), 0);

const runLength = raw.rates.reduce((end, row) => Math.max(end, row[0] + 1), Math.max(raw.length, 1));

// One array of a number per second for each column: a graph of an hour reads slices of these.
function emptySeries(name) {
  const column = () => new Float64Array(Math.ceil(runLength));
  return { name, answered: column(), refused: column(), unknown: column(), p50: column(), p99: column(), max: column() };
}

function readSeries() {
  const byKind = new Map();
  const all = emptySeries("all kinds");
  for (const [at, kind, answered, refused, unknown, p50, p99, max] of raw.rates) {
    if (at < 0) continue;
    const name = text(kind);
    if (!byKind.has(name)) byKind.set(name, emptySeries(name));
    const series = byKind.get(name);
    series.answered[at] += answered;
    series.refused[at] += refused;
    series.unknown[at] += unknown;
    series.p50[at] = p50;
    series.p99[at] = p99;
    series.max[at] = max;
    all.answered[at] += answered;
    all.refused[at] += refused;
    all.unknown[at] += unknown;
  }
  return { all, kinds: [...byKind.values()].sort((a, b) => a.name < b.name ? -1 : 1) };
}

const series = readSeries();

// The seconds [from, until) of a series as one: sums of outcomes, the mean of the middles, the worst of the rest.
function bucket(of, from, until) {
  const sum = { from, until, answered: 0, refused: 0, unknown: 0, p50: 0, p99: 0, max: 0 };
  for (let second = Math.max(0, from); second < Math.min(until, of.answered.length); second++) {
    sum.answered += of.answered[second];
    sum.refused += of.refused[second];
    sum.unknown += of.unknown[second];
    sum.p50 += of.p50[second] * of.answered[second];
    sum.p99 = Math.max(sum.p99, of.p99[second]);
    sum.max = Math.max(sum.max, of.max[second]);
  }
  sum.total = sum.answered + sum.refused + sum.unknown;
  sum.p50 = sum.answered ? sum.p50 / sum.answered : 0;
  return sum;
}

// The buckets that cover [from, until), each of a whole number of seconds and at least so many of them as `step`.
function buckets(of, from, until, step) {
  const result = [];
  for (let at = Math.floor(from / step) * step; at < until && at < runLength; at += step) result.push(bucket(of, at, at + step));
  return result;
}

function lagByNode() {
  const byNode = new Map();
  for (const [at, node, revisions, milliseconds] of raw.lags) {
    const name = text(node);
    if (!byNode.has(name)) byNode.set(name, []);
    byNode.get(name).push({ at, revisions, milliseconds });
  }
  for (const points of byNode.values()) points.sort((a, b) => a.at - b.at);
  return [...byNode.entries()].sort((a, b) => a[0] < b[0] ? -1 : 1).map(([name, points]) => ({ name, points }));
}

const lags = lagByNode();
