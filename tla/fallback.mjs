// Checks one model with the npm package tla-checker and prints what tla/check wants to know: "states N", or "violated NAME", or what went wrong.
//   node fallback.mjs DIRECTORY-OF-THE-PACKAGE MODULE.tla MODEL.cfg
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [directory, module, configuration] = process.argv.slice(2);
const { initSync, check_spec_with_cfg } = await import(pathToFileURL(resolve(directory, "tla_checker.js")));
initSync({ module: readFileSync(join(directory, "tla_checker_bg.wasm")) });

const mostStates = 1_000_000;
const deepest = 1_000;
const settings = readFileSync(configuration, "utf8");
const reply = JSON.parse(check_spec_with_cfg(readFileSync(module, "utf8"), settings, "{}", mostStates, deepest, true, false));

// It tells an invariant by its place in the configuration.
const invariants = /^INVARIANTS (.*)$/m.exec(settings)[1].trim().split(/\s+/);
const broken = /^Invariant (\d+) violated/.exec(reply.error_message ?? "");
if (reply.success) console.log(`states ${reply.states_explored}`);
else if (broken) console.log(`violated ${invariants[Number(broken[1])]}`);
else console.log(`${reply.error_type}: ${reply.error_message}`);
