// Keeps every file of the site in the browser, so that the page works without a network.
//
// The page uses the files of one version: a newer one is loaded whole, and used when the page is
// opened again.

importScripts("files.js"); // SITE: the version, and the digest of each file

const MINE = `dragoman ${registration.scope} `, NAME = MINE + SITE.version;

async function load() {
  const cache = await caches.open(NAME);
  await cache.addAll(Object.entries(SITE.files).map(([path, integrity]) => new Request(path, {integrity})));
}

async function forgetOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter(name => name.startsWith(MINE) && name !== NAME).map(name => caches.delete(name)));
}

async function answer(request) {
  const cache = await caches.open(NAME);
  const asked = request.url === `${registration.scope}index.html` ? "./" : request;
  return await cache.match(asked, {ignoreSearch: true}) ?? fetch(request);
}

addEventListener("install", event => event.waitUntil(load()));
addEventListener("activate", event => event.waitUntil(forgetOthers()));
addEventListener("fetch", event => {
  const {method, url} = event.request;
  if (method === "GET" && url.startsWith(registration.scope)) event.respondWith(answer(event.request));
});
