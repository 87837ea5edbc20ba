// Where translations come from: the model, which the browser has loaded. Has the same functions as
// the module of a page with a server.

import * as runtime from "../packages/onnxruntime.js";
import {Network} from "./network.js";
import {Tokenizer} from "./tokenizer.js";
import {Translator} from "./translator.js";

const ALTERNATIVES = 3;
const place = path => new URL(`../${path}`, import.meta.url).href;

async function read(path) {
  const response = await fetch(place(path));
  if (!response.ok) throw new Error(`${path} cannot be loaded (${response.status}).`);
  return response;
}
const bytes = async path => new Uint8Array(await (await read(path)).arrayBuffer());

// The model: its facts, and what translates with it.
async function load() {
  runtime.env.wasm.wasmPaths = {wasm: place("packages/onnxruntime.wasm")};
  runtime.env.wasm.numThreads = 1; // several need headers that few hosts send
  const [facts, weights, ...graphs] = await Promise.all([
    read("model.json").then(response => response.json()), bytes("model/model.safetensors"),
    bytes("model/encoder.onnx"), bytes("model/decoder.onnx"),
  ]);
  const externalData = [{path: "model.safetensors", data: weights}], sessions = [];
  for (const graph of graphs)
    sessions.push(await runtime.InferenceSession.create(graph, {externalData, executionProviders: ["wasm"]}));
  const [source, target] = facts.tokenizers.map(tree => new Tokenizer(tree));
  const network = new Network(runtime, ...sessions, target.texts.length);
  return {facts, translator: new Translator(network, source, target, facts)};
}
let loaded = null;

// Let the browser draw and hear keys; a timer would wait for four milliseconds.
const channel = new MessageChannel();
const pause = () => new Promise(resolve => {
  channel.port1.onmessage = resolve;
  channel.port2.postMessage(null);
});

// Keep the site for use without a network; a browser that cannot loads it each time.
const keep = () => navigator.serviceWorker?.register("sw.js", {updateViaCache: "none"}).catch(() => {});

export async function models() {
  loaded ??= load();
  const {name, source, target, card} = (await loaded).facts;
  keep();
  return {list: [{name, source, target, card}], keyRequired: false};
}

export async function translate(text, source, target, signal) {
  const {facts, translator} = await loaded;
  const beam = Math.max(facts.search.beam, ALTERNATIVES + 1);
  return translator.translate(text, {beam, n_best: beam}, ALTERNATIVES, async () => {
    await pause();
    signal.throwIfAborted();
  });
}

export const explain = async line => (await loaded).translator.explain(line);

export const setKey = () => {};
