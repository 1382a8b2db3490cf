// Judges requests by the Node sample of the partner guide for public keys, whose file is the first argument.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { verify } = await import(pathToFileURL(process.argv[2]));

function isGenuine({ secret, headers, body_base64, now, event_id }) {
  let found;
  try {
    found = verify([secret], headers, Buffer.from(body_base64, "base64"), now);
  } catch (error) {
    // What the sample throws itself is a plain Error; a slip in it would be another kind.
    if (error.constructor === Error) return false;
    throw error;
  }
  if (found !== event_id) throw new TypeError(`another event: ${found}`);
  return true;
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(isGenuine)));
