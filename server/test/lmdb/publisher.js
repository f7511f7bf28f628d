// Publishes without end to the store in the folder argv[2], from argv[3] senders at once, until it is killed. For every
// result it prints a line: "+ user offset content" when it was accepted, "! code" when it was not.
import { lmdb } from "../../dist/broker/lmdb.js";

const [path, senders] = process.argv.slice(2);
const run = process.pid.toString(36);
let broker;
try {
  // A journal so small that something is always about to be moved; mailboxes that drop nothing, in however many runs.
  broker = await lmdb({ path, maxJournalBytes: 20_000, maxMailboxMessages: 1_000_000, maxMailboxBytes: 1e9 });
} catch (error) {
  process.stdout.write(`! ${error.code}\n`);
  process.exit(1);
}

async function send(sender) {
  const userId = `user${sender % 5}`;
  for (let count = 0; ; count++) {
    const content = `${run}-${sender}-${count}`;
    const text = `"message","${content}${".".repeat(count % 500)}"`;
    const key = { key: content, digest: content };
    const [result] = await broker.publish([{ id: content, userId, text, bytes: text.length, ttlMs: 3_600_000, key }]);
    if (result.state === "failed") {
      process.stdout.write(`! ${result.error.code}\n`);
      await broker.read(userId, 0, 10); // rejects, and ends this process, if a failed write leaves the store unreadable
      await new Promise((resolve) => setTimeout(resolve, 20));
    } else {
      process.stdout.write(`+ ${userId} ${result.offset} ${content}\n`);
    }
  }
}

for (let sender = 0; sender < Number(senders); sender++) void send(sender);
