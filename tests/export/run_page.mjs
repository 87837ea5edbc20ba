// Runs the modules of a site's page in Node. Reads one JSON object from standard input:
// {page, tokenizers: [{tree, texts}]} or {page, site, requests: [[text, options, alternatives], ...]},
// page being the folder of the modules; writes the answers as JSON.

import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const asked = JSON.parse(readFileSync(0, "utf-8"));
const load = name => import(pathToFileURL(`${asked.page}/${name}`));
const {Tokenizer} = await load("tokenizer.js");

function tokenized({tree, texts}) {
  const tokenizer = new Tokenizer(tree);
  return texts.map(text => {
    const found = tokenizer.encode(text);
    return {...found, normal: tokenizer.normalize(text), joined: tokenizer.join(tokenizer.tokens(found.ids))};
  });
}

async function translatorOf(site) {
  const runtime = await import(pathToFileURL(`${site}/packages/onnxruntime.js`));
  runtime.env.wasm.numThreads = 1;
  runtime.env.wasm.wasmBinary = readFileSync(`${site}/packages/onnxruntime.wasm`);
  const bytes = name => new Uint8Array(readFileSync(`${site}/model/${name}`));
  const externalData = [{path: "model.safetensors", data: bytes("model.safetensors")}], sessions = [];
  for (const name of ["encoder.onnx", "decoder.onnx"])
    sessions.push(await runtime.InferenceSession.create(bytes(name), {externalData, executionProviders: ["wasm"]}));
  const facts = JSON.parse(readFileSync(`${site}/model.json`, "utf-8"));
  const [source, target] = facts.tokenizers.map(tree => new Tokenizer(tree));
  const {Network} = await load("network.js"), {Translator} = await load("translator.js");
  return new Translator(new Network(runtime, ...sessions, target.texts.length), source, target, facts);
}

let answers = [];
if (asked.tokenizers) answers = asked.tokenizers.map(tokenized);
else {
  const translator = await translatorOf(asked.site);
  for (const request of asked.requests) answers.push(await translator.translate(...request));
}
process.stdout.write(JSON.stringify(answers));
