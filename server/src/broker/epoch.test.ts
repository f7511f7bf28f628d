import { expect, it } from "vitest";
import { Epochs } from "./epoch.ts";

it("gives a user the same epoch until the user is purged, and never an old one again", () => {
  const epochs = new Epochs();
  const seen = new Set([epochs.of("ana")]);
  expect(epochs.of("ana")).toBe([...seen][0]);
  for (let purge = 0; purge < 5; purge++) {
    expect(epochs.renew("ana")).toBe("one");
    seen.add(epochs.of("ana"));
  }
  expect(seen.size).toBe(6);
});

it("leaves other users their epochs", () => {
  const epochs = new Epochs();
  const before = epochs.of("bo");
  epochs.renew("ana");
  expect(epochs.of("bo")).toBe(before);
});

it("remembers so many purged users, then begins anew for everybody, and says so", () => {
  const epochs = new Epochs();
  const first = epochs.of("user0");
  const renewed = new Set(Array.from({ length: 100_000 }, (_, user) => epochs.renew(`user${user}`)));
  expect([...renewed]).toEqual(["one"]);
  const second = epochs.of("user0");
  expect(epochs.renew("one too many")).toBe("all");
  expect(new Set([first, second, epochs.of("user0")]).size).toBe(3);
});
