// Judges requests by the npm package `standardwebhooks`: cases on standard input, verdicts on standard output.
import { readFileSync } from "node:fs";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

function isGenuine({ secret, headers, body_base64 }) {
  try {
    new Webhook(secret).verify(Buffer.from(body_base64, "base64"), headers);
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
  return true;
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(isGenuine)));
