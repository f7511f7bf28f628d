import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { isGame, play } from "./rules.js";
import { GameServer, PlayerWindow } from "./support.ts";

const patience = { timeout: 15_000 };
const windows: PlayerWindow[] = [];
let server: GameServer;

const follow = (window: PlayerWindow): PlayerWindow => {
  windows.push(window);
  return window;
};
const open = (me: string, friend: string): PlayerWindow => follow(new PlayerWindow(server.url, me, friend));
const shows = (window: PlayerWindow, columns: readonly number[]) => expect.poll(() => window.columns, patience).toEqual(columns);

beforeAll(async () => {
  server = await GameServer.start();
});
afterEach(() => {
  for (const window of windows.splice(0)) window.close();
});
afterAll(() => server.stop());

test("a game goes on through a broken connection and a closed window, each turn once and in order", async () => {
  const [ana, bo] = [open("ana", "bo"), open("bo", "ana")];
  await ana.play(3);
  await shows(bo, [3]);
  bo.client.socket.io.engine.close(); // as a network does it
  await bo.play(3);
  await shows(ana, [3, 3]);
  await ana.play(4);
  await shows(bo, [3, 3, 4]);
  await bo.play(4);
  bo.close();
  await shows(ana, [3, 3, 4, 4]);
  await ana.play(5);
  const next = follow(bo.reopen());
  await shows(next, [3, 3, 4, 4, 5]);
  await next.play(5);
  await shows(ana, [3, 3, 4, 4, 5, 5]);
  await ana.play(6);
  await shows(next, [3, 3, 4, 4, 5, 5, 6]);
  expect([ana.turns, bo.turns, next.turns].join(" then ")).toBe("1,3,5 then 0,2 then 4,6");
  await next.play(0); // who has lost begins the next game
  await shows(ana, [0]);
});

test("a turn that did not leave a window is told by the next one", async () => {
  const [cy, di] = [open("cy", "di"), open("di", "cy")];
  cy.client.socket.disconnect();
  cy.play(2).catch(() => {}); // the window closes before it is sent
  cy.close();
  follow(cy.reopen());
  await shows(di, [2]);
  expect(di.turns).toEqual([]);
});

test("a browser that does not know the game is told it, and a turn counts once and in its turn", async () => {
  const [eve, fay] = [open("eve", "fay"), open("fay", "eve")];
  await fay.play(1);
  await eve.play(2);
  await shows(fay, [2]);
  await eve.play(5);
  await eve.client.to("fay").emit("turn", { turn: 0, column: 6 }); // as after a reload, when it had not settled before
  const elsewhere = open("eve", "fay");
  await shows(elsewhere, [2]);
  await fay.play(2);
  await Promise.all([shows(eve, [2, 2]), shows(elsewhere, [2, 2])]);
});

test("pointers are seen at once or never", async () => {
  const [gus, hal] = [open("gus", "hal"), open("hal", "gus")];
  const isSeen = () => {
    gus.point({ x: 0.5, y: 0.5 });
    return hal.pointers;
  };
  await expect.poll(isSeen, patience).toContainEqual({ x: 0.5, y: 0.5 });
  hal.close();
  await gus.play(0);
  gus.point({ x: 0.1, y: 0.1 });
  const next = follow(hal.reopen());
  await shows(next, [0]);
  expect(next.pointers).toEqual([]);
});

test("only games by the rules are games", () => {
  expect(isGame({ begun: 42, columns: [0, 0, 0, 0, 0, 0] })).toBe(true);
  const others = [null, [], { begun: -1, columns: [] }, { begun: 0, columns: [7] }, { begun: 0, columns: [0, 0, 0, 0, 0, 0, 0] }];
  expect([...others, { begun: 0, columns: [0, 1, 0, 1, 0, 1, 0, 1] }].filter(isGame)).toEqual([]);
  const diagonal = [0, 1, 1, 2, 2, 3, 2, 3, 3, 6, 3];
  for (const columns of [diagonal, diagonal.map((column) => 6 - column)]) {
    expect(play({ begun: 1, columns }, 6)).toEqual({ begun: 12, columns: [6] });
  }
});
