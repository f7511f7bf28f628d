// Where Redis is, as the broker takes it.
import { Cluster } from "ioredis";

/** One address is that of a server, several with commas between them are those of a cluster. */
export function locate(urls) {
  const all = urls.split(",");
  if (all.length === 1) return { url: urls };
  const client = new Cluster(
    all.map((url) => {
      const { hostname: host, port } = new URL(url);
      return { host, port: Number(port) };
    }),
    { lazyConnect: true },
  );
  client.on("error", () => {});
  return { client };
}
