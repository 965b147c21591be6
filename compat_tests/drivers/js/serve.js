// The loop of a driver in JavaScript. A driver is an object with a function for each call, which takes the call's
// parameters and answers a promise. `errorCode(failure)` names what a library threw.
"use strict";

const readline = require("node:readline");

async function serve(driver, errorCode) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { do: name, ...parameters } = JSON.parse(line);
    let answer;
    try {
      answer = { result: (await driver[name](parameters)) ?? null };
    } catch (failure) {
      answer = { error: errorCode(failure), message: String(failure?.message ?? failure) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  process.exit(0);
}

const toBytes = (text) => (text == null ? null : Buffer.from(text, "base64"));
const toText = (bytes) => (bytes == null ? null : Buffer.from(bytes).toString("base64"));

module.exports = { serve, toBytes, toText };
