import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster, Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { redis } from "../../src/broker/redis.ts";
import type { Broker } from "../../src/ports.ts";
import { SELF_SIGNED } from "../self-signed.ts";
import { draft, recorder } from "./messages.ts";
import { freePort, startServer, type TestServer, waitFor } from "./server.ts";

const tls = { ca: SELF_SIGNED.cert };

let folder: string;
/** A server that speaks TLS beside its usual port, and one of a cluster. */
let servers: readonly { readonly server: TestServer; readonly tlsPort: number }[];

async function startTls(...settings: readonly string[]): Promise<{ readonly server: TestServer; readonly tlsPort: number }> {
  const tlsPort = await freePort();
  const cert = join(folder, "cert.pem");
  const files = ["--tls-cert-file", cert, "--tls-ca-cert-file", cert, "--tls-key-file", join(folder, "key.pem")];
  const server = await startServer("--tls-port", String(tlsPort), ...files, "--tls-auth-clients", "no", ...settings);
  return { server, tlsPort };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "usercast-tls-"));
  await writeFile(join(folder, "cert.pem"), SELF_SIGNED.cert);
  await writeFile(join(folder, "key.pem"), SELF_SIGNED.key);
  // The certificate is for a name, so the cluster has to call its servers by theirs.
  const named = ["--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"];
  servers = [await startTls(), await startTls("--cluster-enabled", "yes", "--tls-cluster", "yes", ...named)];
});
afterAll(async () => {
  await Promise.all(servers.map(({ server }) => server.stop()));
  await rm(folder, { recursive: true });
});

/** A message goes through: is stored, heard and read. */
async function expectToWork(broker: Broker): Promise<void> {
  const { listener, entries } = recorder();
  await broker.subscribe("ana", listener);
  expect(await broker.publish([draft("ana", { text: '"m","hi"' })])).toMatchObject([{ state: "accepted", offset: 1 }]);
  await waitFor(() => entries.length === 1, "it is heard");
  expect((await broker.read("ana", 0, 10)).entries).toMatchObject([{ text: '"m","hi"' }]);
  await broker.close();
}

describe("a Redis that speaks TLS", () => {
  it("is spoken to by it", async () => {
    const client = new Redis({ host: "localhost", port: servers[0]?.tlsPort ?? 0, tls, lazyConnect: true });
    await expectToWork(await redis({ client }));
  });

  it("is spoken to by it on a cluster", async () => {
    const [, { server, tlsPort } = { server: undefined, tlsPort: 0 }] = servers;
    await server?.client.call("CLUSTER", "ADDSLOTSRANGE", 0, 16_383);
    await waitFor(async () => String(await server?.client.cluster("INFO")).includes("cluster_state:ok"), "the cluster is there");
    const client = new Cluster([{ host: "localhost", port: tlsPort }], {
      dnsLookup: (address, done) => done(null, address),
      redisOptions: { tls },
      lazyConnect: true,
    });
    await expectToWork(await redis({ client }));
  });

  it("is refused where nobody vouches for it, in words", async () => {
    const url = `rediss://localhost:${servers[0]?.tlsPort}`;
    const refused = redis({ url, commandTimeoutMs: 3_000, warn: () => {} });
    await expect(refused).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("self-signed certificate"),
    });
  });

  it("is refused where it is spoken to without", async () => {
    const url = `redis://localhost:${servers[0]?.tlsPort}`;
    await expect(redis({ url, commandTimeoutMs: 1_000, warn: () => {} })).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
});
