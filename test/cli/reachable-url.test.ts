import { expect, it } from "vitest";
import { reachableUrl } from "../../src/cli/serve/reachable-url.ts";

it.each([
  ["http://127.0.0.1:8400", "http://127.0.0.1:8400"],
  ["http://[::1]:8400", "http://[::1]:8400"],
  ["http://[fe80::1%eth0]:8400", "http://[fe80::1%eth0]:8400"],
  ["https://127.0.0.1:8400", "https://127.0.0.1:8400"],
  ["https://keys.example.org", "https://keys.example.org"],
  ["https://example.org/keystead/", "https://example.org/keystead"],
  ["https://0.0.0.0:443", "https://localhost:443"],
  ["http://0.0.0.0:8400", "http://127.0.0.1:8400"],
  ["http://0:8400", "http://127.0.0.1:8400"],
  ["http://[::]:8400", "http://[::1]:8400"],
  ["https://[0:0:0:0:0:0:0:0]:8400", "https://localhost:8400"],
])("commands reach a server at %s by %s", (said, url) => {
  expect(reachableUrl(said)).toBe(url);
});
