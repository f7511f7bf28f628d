// The programs that tests drive and npm cannot bring.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const APT = "/usr/bin/apt-get";

const NEEDS = [
  { packages: ["curl"], isHere: () => existsSync("/usr/bin/curl") },
  { packages: ["redis-server"], isHere: () => existsSync("/usr/bin/redis-server") },
  { packages: ["chromium"], isHere: () => existsSync("/usr/bin/chromium") },
  {
    packages: ["python3-socketio", "python3-websocket", "python3-requests"],
    isHere: () => succeeds("/usr/bin/python3", ["-c", "import socketio, websocket, requests"]),
  },
];

/** Makes sure the programs are here; installs them where that is ours to do, and otherwise says what to install. */
export function bringPackages() {
  const packages = missing();
  if (packages.length === 0) return true;
  const names = packages.join(" ");
  if (process.getuid?.() !== 0 || !existsSync(APT)) {
    console.error(`The tests need these Debian packages: ${names}`);
    console.error('Install them, or run "npm run test:core", which does without.');
    return false;
  }
  console.log(`Installing Debian packages that the tests need: ${names}`);
  const options = { stdio: /** @type {const} */ ("inherit"), env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
  spawnSync(APT, ["update", "--quiet"], options);
  spawnSync(APT, ["install", "--yes", "--quiet", "--no-install-recommends", ...packages], options);
  const still = missing();
  if (still.length > 0) console.error(`Could not install: ${still.join(" ")}`);
  return still.length === 0;
}

const missing = () => NEEDS.filter(({ isHere }) => !isHere()).flatMap(({ packages }) => packages);

/**
 * @param {string} command
 * @param {readonly string[]} args
 */
function succeeds(command, args) {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}
