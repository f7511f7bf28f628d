import fc from "fast-check";
import { expect, test } from "vitest";
import {
  connected,
  disconnected,
  graceOver,
  makeRoom,
  type PresenceRecord,
  PresenceTracker,
  type Transition,
} from "./presence.ts";
import { ManualClock } from "./testing/manual-clock.ts";

test("whatever happens, events alternate and the count is right", () => {
  const steps = fc.array(fc.constantFrom("connect", "disconnect", "grace"));
  fc.assert(
    fc.property(steps, (taken) => {
      let record: PresenceRecord = { connections: 0, announced: false };
      let open = 0;
      let last = "offline";
      for (const step of taken) {
        if (step === "disconnect" && open === 0) continue;
        open += step === "connect" ? 1 : step === "disconnect" ? -1 : 0;
        const { next, event }: Transition =
          step === "connect" ? connected(record) : step === "disconnect" ? disconnected(record, 1) : graceOver(record);
        record = next;
        if (event !== undefined) {
          expect(event).not.toBe(last);
          last = event;
        }
        expect(record.connections).toBe(open);
        if (open > 0) expect(last).toBe("online");
      }
      if (open === 0 && taken.at(-1) === "grace") expect(last).toBe("offline");
    }),
  );
});

test("every grace period that begins is ended by a return or by its event, and leaves no timer", () => {
  const clock = new ManualClock();
  const events: string[] = [];
  const tracker = new PresenceTracker({
    clock,
    graceMs: 1_000,
    maxLastSeen: 2,
    onEvent: (event, user) => events.push(`${user} ${event}`),
  });
  tracker.connected("ana");
  tracker.disconnected("ana");
  clock.advance(999);
  tracker.connected("ana");
  expect(clock.timers).toBe(0);
  tracker.disconnected("ana");
  clock.advance(1_000);
  expect(events).toEqual(["ana online", "ana offline"]);
  expect(clock.timers).toBe(0);
});

test("last seen is remembered for as many absent users as allowed", () => {
  const clock = new ManualClock();
  const tracker = new PresenceTracker({ clock, graceMs: 0, maxLastSeen: 2, onEvent() {} });
  const seenAt = new Map<string, number>();
  for (const user of ["a", "b", "c"]) {
    tracker.connected(user);
    clock.advance(10);
    tracker.disconnected(user);
    seenAt.set(user, clock.now());
    clock.advance(10);
  }
  expect(["a", "b", "c"].map((user) => tracker.lastSeen(user))).toEqual([undefined, seenAt.get("b"), seenAt.get("c")]);
});

const sitting = (socketId: string, session?: string) => ({
  socketId,
  device: "phone",
  ...(session !== undefined && { session }),
});

test("whoever makes room, there are never more than allowed, and a session that returns takes nobody else's place", () => {
  const sessions = fc.option(fc.constantFrom("s1", "s2", "s3"), { nil: undefined });
  fc.assert(
    fc.property(fc.array(sessions), sessions, fc.integer({ min: 1, max: 5 }), (there, session, maxConnections) => {
      const connections = there.map((own, i) => sitting(`c${i}`, own));
      const newcomer = sitting("new", session);
      const evicted = makeRoom(connections, newcomer, { maxConnections, takeover: "oldest" }) ?? [];
      expect(evicted).toHaveLength(Math.max(connections.length + 1 - maxConnections, 0));
      const ghosts = connections
        .filter((one) => session !== undefined && one.session === session)
        .map(({ socketId }) => socketId);
      const first = evicted.slice(0, ghosts.length);
      expect(first).toEqual(ghosts.slice(0, evicted.length));
      const others = connections.map(({ socketId }) => socketId).filter((socketId) => !ghosts.includes(socketId));
      expect(evicted.slice(ghosts.length)).toEqual(others.slice(0, Math.max(evicted.length - ghosts.length, 0)));
      const mayCome = connections.length + 1 - ghosts.length <= maxConnections;
      expect(makeRoom(connections, newcomer, { maxConnections, takeover: "reject" }) !== undefined).toBe(mayCome);
      // The same once more takes nobody's place.
      const again = makeRoom([newcomer], newcomer, { maxConnections, takeover: "reject" });
      expect(again).toEqual([]);
    }),
  );
});
