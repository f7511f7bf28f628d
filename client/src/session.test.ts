import { parseDeviceId } from "@usercast/protocol";
import { afterEach, expect, test, vi } from "vitest";
import { PositionStore } from "./position-store.ts";
import { deviceIn, randomId, Session } from "./session.ts";
import { claimKey, type KeyValueStorage, lenient, memoryStorage, pageStorage } from "./storage.ts";

afterEach(() => vi.unstubAllGlobals());

/** What a browser does to `sessionStorage` when a tab is duplicated. */
const duplicate = (storage: KeyValueStorage, keys: readonly string[]): KeyValueStorage => {
  const copy = memoryStorage();
  for (const key of keys) {
    const value = storage.getItem(key);
    if (value !== null) copy.setItem(key, value);
  }
  return copy;
};

const broken: KeyValueStorage = {
  getItem: () => {
    throw new Error("blocked");
  },
  setItem: () => {
    throw new Error("quota");
  },
  removeItem: () => {
    throw new Error("blocked");
  },
};

const place = { epoch: "e1", offset: 7, at: 1_007 };

test("a device keeps its id", () => {
  const local = memoryStorage();
  const { id } = deviceIn(local);
  expect(parseDeviceId(id)).toBe(id);
  expect(deviceIn(local)).toEqual({ id, transient: false });
});

test("a stored id that is none of ours is replaced", () => {
  const local = memoryStorage();
  local.setItem("usercast:device", "plain");
  expect(deviceIn(local).id).not.toBe("plain");
});

test("a device whose id cannot be kept says so", () => {
  const forgetful = { ...memoryStorage(), setItem: () => undefined };
  expect(deviceIn(undefined).transient).toBe(true);
  expect(deviceIn(forgetful).transient).toBe(true);
  expect(deviceIn(memoryStorage()).transient).toBe(false);
});

test("ids are fit for use where the page has no crypto", () => {
  vi.stubGlobal("crypto", {});
  expect(parseDeviceId(randomId())).toHaveLength(32);
  expect(randomId()).not.toBe(randomId());
});

test("a page keeps its session through a reload", () => {
  const storage = memoryStorage();
  const page = new Session(storage, "session");
  page.putBack();
  expect(new Session(storage, "session").id).toBe(page.id);
});

test("a duplicated tab is a session of its own, also after its original was shown again", () => {
  const storage = memoryStorage();
  const page = new Session(storage, "session");
  expect(new Session(duplicate(storage, ["session"]), "session").id).not.toBe(page.id);
  page.putBack();
  page.takeOut();
  expect(new Session(duplicate(storage, ["session"]), "session").id).not.toBe(page.id);
});

test("storage that throws does not stop the page", () => {
  const storage = lenient(broken);
  const page = new Session(storage, "session");
  page.putBack();
  const positions = new PositionStore(storage, "position");
  positions.keep("ana", place);
  expect(positions.bring("ana")).toEqual(place);
  expect(deviceIn(storage)).toMatchObject({ transient: true });
});

test("site data that is blocked is not touched again", () => {
  vi.stubGlobal("document", {});
  vi.stubGlobal("sessionStorage", undefined);
  Object.defineProperty(globalThis, "localStorage", {
    configurable: true,
    get: () => {
      throw new Error("blocked");
    },
  });
  try {
    expect(pageStorage("localStorage")).toBeUndefined();
    expect(pageStorage("sessionStorage")).toBeUndefined();
  } finally {
    Reflect.deleteProperty(globalThis, "localStorage");
  }
});

test("two clients of one page do not share a key, and a closed one gives its own back", () => {
  const storage = memoryStorage();
  const first = claimKey(storage, "server");
  expect(claimKey(storage, "server").key).toBe("server#2");
  first.release();
  expect(claimKey(storage, "server").key).toBe("server");
  expect(claimKey(memoryStorage(), "server").key).toBe("server");
});

test("a position is brought again by the same user", () => {
  const storage = memoryStorage();
  const before = new PositionStore(storage, "position");
  expect(before.bring("ana")).toBeUndefined();
  before.keep("ana", place);
  const after = new PositionStore(storage, "position");
  expect(after.bring("ana")).toEqual(place);
  expect(after.isFor("ana")).toBe("same");
});

test("a position is brought where nobody knows whose connection it will be", () => {
  const storage = memoryStorage();
  new PositionStore(storage, "position").keep("ana", place);
  const after = new PositionStore(storage, "position");
  expect(after.bring(undefined)).toEqual(place);
  expect(after.isFor("bo")).toBe("misled");
  expect(after.bring(undefined)).toBeUndefined();
  expect(new PositionStore(storage, "position").position).toBeUndefined();
});

test("a position is not brought where another user is expected", () => {
  const storage = memoryStorage();
  const before = new PositionStore(storage, "position");
  before.bring("ana");
  before.keep("ana", place);
  const after = new PositionStore(storage, "position");
  expect(after.bring("bo")).toBeUndefined();
  expect(after.isFor("bo")).toBe("other");
});

test("a hint is compared with hints only: a token's subject need not be the user id", () => {
  const storage = memoryStorage();
  const before = new PositionStore(storage, "position");
  before.bring("subject-1");
  before.keep("ana", place);
  expect(new PositionStore(storage, "position").bring("subject-1")).toEqual(place);
});

test.each(["", "null", "{", '{"userId":"ana"}', '{"userId":"ana","position":{"epoch":"e1","offset":-1,"at":0}}'])(
  "a stored position that makes no sense is ignored: %s",
  (text) => {
    const storage = memoryStorage();
    storage.setItem("position", text);
    expect(new PositionStore(storage, "position").position).toBeUndefined();
  },
);
