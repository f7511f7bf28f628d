import { createHash, timingSafeEqual } from "node:crypto";
import { UsercastError } from "@usercast/protocol";

const KEY = /^([A-Za-z0-9_.-]{1,64}):([\x21-\x7e]{16,512})$/;
const BEARER = /^Bearer +([\x21-\x7e]{1,600}) *$/i;

const digestOf = (text: string): Buffer => createHash("sha256").update(text).digest();

/**
 * The API keys of a server. Only digests are kept. One name may have several secrets, so that a key can be changed
 * without an outage.
 */
export class ApiKeys {
  readonly #keys: readonly { readonly name: string; readonly digest: Buffer }[];

  /**
   * From `name:secret` texts.
   * @throws UsercastError `INVALID_OPTIONS`, which never quotes a secret
   */
  constructor(texts: readonly string[]) {
    this.#keys = texts.map((text, index) => {
      const name = KEY.exec(text)?.[1];
      if (name === undefined) {
        throw new UsercastError(
          "INVALID_OPTIONS",
          `API key ${index + 1} is not name:secret, with a name of A-Z, a-z, 0-9, _, . and -, ` +
            'and a secret of at least 16 printable characters (try "openssl rand -hex 32").',
        );
      }
      return { name, digest: digestOf(text) };
    });
  }

  /** The name of the key in an `Authorization` header, where it is one of ours. */
  nameOf(authorization: string | undefined): string | undefined {
    const presented = BEARER.exec(authorization ?? "")?.[1];
    if (presented === undefined) return undefined;
    const digest = digestOf(presented);
    let found: string | undefined;
    // All keys are looked at, each by a digest of the same length: the time taken tells nothing about any of them.
    for (const key of this.#keys) if (timingSafeEqual(key.digest, digest)) found = key.name;
    return found;
  }
}
