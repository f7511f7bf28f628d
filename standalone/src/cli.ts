import { UsercastError } from "@usercast/protocol";
import { Command } from "commander";
import { banner } from "./banner.ts";
import { developmentConfig, productionConfig, type ServerConfig, tokenConfig } from "./config.ts";
import { StartError } from "./listen.ts";
import { createLog, type Logger } from "./log.ts";
import { type RunningServer, startServer } from "./server.ts";
import { type Command as CommandName, flagNameOf, SETTING_NAMES, SETTINGS } from "./settings.ts";
import { stopOnSignal } from "./signals.ts";
import type { Sources } from "./sources.ts";
import { createToken } from "./token.ts";
import { VERSION } from "./version.ts";
import { ownWorker, report, startWorkers } from "./workers.ts";

/** Runs the command line. What goes wrong is one sentence on standard error and exit code 1. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync(argv);
  } catch (error) {
    const expected = error instanceof UsercastError || error instanceof StartError;
    const message = (expected ? error.message : error instanceof Error ? error.stack : undefined) ?? String(error);
    process.exitCode = 1;
    if (ownWorker() === undefined) {
      process.stderr.write(`usercast: ${message}\n`);
      return;
    }
    await report({ state: "failed", message, isTemporary: UsercastError.from(error).code === "UNAVAILABLE" });
    // Its channel would keep it alive.
    process.exit();
  }
}

function createProgram(): Command {
  const program = new Command("usercast")
    .description("Reach a user with one HTTP call, over Socket.IO.")
    .version(VERSION)
    .showHelpAfterError("(usercast --help says what there is)");

  const development = command(program, "dev", true)
    .description("start a server for this machine, which believes every client (what usercast does without a command)")
    .action((flags: Flags) => run(developmentConfig(sourcesOf(flags))));
  command(program, "serve")
    .description("start a server for the world, which believes nobody without a token or a key")
    .action((flags: Flags) => run(productionConfig(sourcesOf(flags))));
  command(program, "token")
    .description("print a token for a user, signed with the secret of the configuration")
    .requiredOption("--user <id>", "the user")
    .option("--ttl <time>", 'how long it is valid: "90s", "1h", "7d"', "1h")
    .action(async ({ user, ttl, ...flags }: Flags & { user: string; ttl: string }) => {
      process.stdout.write(`${await createToken(tokenConfig(sourcesOf(flags)), user, ttl)}\n`);
    });

  return program.addHelpText("after", () => `\n${development.helpInformation()}${SOURCES_HELP}`);
}

type Flags = Record<string, unknown>;

const sourcesOf = (flags: Flags): Sources => ({ flags, env: process.env });

const SOURCES_HELP = `
Every setting can also be given in the environment (--max-payload-bytes is USERCAST_MAX_PAYLOAD_BYTES) and in a YAML file
(maxPayloadBytes). Flags come first, then the environment, then the file. Secrets have no flags: give them as
USERCAST_JWT_SECRET, USERCAST_API_KEYS and USERCAST_REDIS_PASSWORD, or in files.
`;

/** A command with a flag for each of its settings. */
function command(program: Command, name: CommandName, isDefault = false): Command {
  const created = program.command(name, { isDefault }).option("--config <FILE>", "YAML file with settings");
  for (const setting of SETTING_NAMES) {
    const { kind, commands, placeholder, help } = SETTINGS[setting];
    if (!commands.includes(name)) continue;
    if (kind === "switch") created.option(`--${flagNameOf(setting)}`, help);
    else if (placeholder !== undefined) created.option(`--${flagNameOf(setting)} <${placeholder}>`, help);
  }
  return created;
}

async function run(config: ServerConfig): Promise<void> {
  const worker = ownWorker();
  const log = createLog(config.logLevel, worker?.id);
  if (worker !== undefined) {
    const { port } = await serve(config, log);
    await report({ state: "listening", port });
    log.info({ port }, "listening");
    return;
  }
  const { port } = await (config.mode === "production" && config.workers > 1
    ? serveByWorkers(config, config.workers, log)
    : serve(config, log));
  process.stdout.write(banner(config, port, VERSION));
  log.info({ mode: config.mode, port }, "listening");
  if (config.mode === "development" && config.ignored.length > 0) {
    log.warn(`Development mode does without ${config.ignored.join(", ")}: that is for "usercast serve".`);
  }
}

async function serve(config: ServerConfig, log: Logger): Promise<RunningServer> {
  const server = await startServer(config, log);
  stopOnSignal(server, config.closeTimeoutMs, log);
  return server;
}

/** Workers keep to their bound by themselves; whoever has not ended a little later hangs. */
const WORKER_MARGIN_MS = 1_000;

async function serveByWorkers({ closeTimeoutMs }: ServerConfig, count: number, log: Logger): Promise<RunningServer> {
  const server = await startWorkers({ count, log, onGivenUp: () => process.exit(1) });
  stopOnSignal(server, closeTimeoutMs + WORKER_MARGIN_MS, log);
  log.warn(
    'With several workers clients must begin with WebSocket (transports: ["websocket"]): the requests of one that polls would reach different workers.',
  );
  return server;
}
