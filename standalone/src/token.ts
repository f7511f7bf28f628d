import { parseTtl, parseUserId, UsercastError } from "@usercast/protocol";
import { SignJWT } from "jose";
import type { IdentitySettings } from "./config.ts";

const MAX_TTL_MS = 365 * 86_400_000;

/**
 * A token that says its bearer is `user`, signed with HS256 as the server expects it.
 * @throws UsercastError `INVALID_USER_ID` or `INVALID_TTL`
 */
export async function createToken(
  identity: IdentitySettings & { readonly secret: string },
  user: string,
  ttl: string,
): Promise<string> {
  const seconds = Math.floor(parseTtl(ttl, MAX_TTL_MS) / 1_000);
  if (seconds < 1) throw new UsercastError("INVALID_TTL", "A token is valid for a second at least.");
  const now = Math.floor(Date.now() / 1_000);
  const token = new SignJWT({ [identity.userIdClaim ?? "sub"]: parseUserId(user) })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuedAt(now)
    .setExpirationTime(now + seconds);
  if (identity.issuer !== undefined) token.setIssuer(identity.issuer);
  if (identity.audience !== undefined) token.setAudience(identity.audience);
  return token.sign(new TextEncoder().encode(identity.secret));
}
