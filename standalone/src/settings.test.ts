import { expect, test } from "vitest";
import { envNameOf, flagNameOf, SETTING_NAMES, SETTINGS, settingsSchema, valueOfText } from "./settings.ts";

test("names of flags and variables follow from the setting's own", () => {
  expect(flagNameOf("maxPayloadBytes")).toBe("max-payload-bytes");
  expect(envNameOf("maxPayloadBytes")).toBe("USERCAST_MAX_PAYLOAD_BYTES");
  expect(flagNameOf("engineIo3")).toBe("engine-io-3");
  expect(envNameOf("jwtUserIdClaim")).toBe("USERCAST_JWT_USER_ID_CLAIM");
  expect(new Set(SETTING_NAMES.map(envNameOf)).size).toBe(SETTING_NAMES.length);
});

test("every setting is described, and secrets have no flag", () => {
  expect([...SETTING_NAMES].sort()).toEqual(Object.keys(settingsSchema.shape).sort());
  expect(SETTINGS.jwtSecret.placeholder).toBeUndefined();
  expect(SETTINGS.apiKeys.placeholder).toBeUndefined();
});

test("text becomes a value only where it fits", () => {
  expect(valueOfText("port", "4000")).toBe(4_000);
  expect(valueOfText("port", "0x10")).toBe("0x10");
  expect(valueOfText("port", "")).toBe("");
  expect(valueOfText("userToUser", "true")).toBe(true);
  expect(valueOfText("userToUser", "0")).toBe(false);
  expect(valueOfText("userToUser", "yes")).toBe("yes");
  expect(valueOfText("origins", " https://a.example , https://b.example,")).toEqual(["https://a.example", "https://b.example"]);
});
