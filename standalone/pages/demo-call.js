import { curlPieces, pathOf, short } from "/demo-words.js";

const COPIED_MS = 2_000;
const TIMEOUT_MS = 10_000;

/** The line with which a back end reaches the person one talks to, to copy or to run. */
export class CallPanel {
  #root;
  #announce;
  #me = "";
  #peer = "";
  #copied;
  #running = false;

  constructor(root, announce) {
    this.#root = root;
    this.#announce = announce;
    for (const radio of root.querySelectorAll("input")) radio.addEventListener("change", () => this.#draw());
    this.#part("copy").addEventListener("click", () => void this.#copy());
    this.#part("run").addEventListener("click", () => void this.#run());
    // Beside the conversation there is room for it; above it, it is asked for.
    const isWide = matchMedia("(min-width: 70rem)");
    root.open = isWide.matches;
    isWide.addEventListener("change", () => (root.open = isWide.matches));
  }

  show(me, peer) {
    this.#me = me;
    this.#peer = peer;
    this.#part("me").textContent = short(me);
    this.#part("peer").textContent = short(peer);
    this.#draw();
  }

  get #userId() {
    return this.#root.querySelector("input:checked").value === "me" ? this.#me : this.#peer;
  }

  #part(name) {
    return document.getElementById(`call-${name}`);
  }

  #draw() {
    // In pieces, so that the line is broken where a reader would break it.
    const pieces = curlPieces(location.origin, this.#userId).map((piece) => {
      const element = document.createElement("span");
      element.className = "piece";
      element.textContent = piece.trimStart();
      return piece.startsWith(" ") ? [" ", element] : [element];
    });
    this.#part("line").replaceChildren(...pieces.flat());
    this.#part("answer").textContent = "";
    this.#setCopied(false);
  }

  #setCopied(isCopied) {
    clearTimeout(this.#copied);
    this.#part("copy").textContent = isCopied ? "Copied" : "Copy";
    if (isCopied) this.#copied = setTimeout(() => this.#setCopied(false), COPIED_MS);
  }

  async #copy() {
    const line = this.#part("line");
    try {
      await navigator.clipboard.writeText(line.textContent);
      this.#setCopied(true);
      this.#announce("Copied");
    } catch {
      // Where the browser does not let a page copy, the person can: the line is selected for them.
      getSelection().selectAllChildren(line);
      this.#announce("Selected, ready to copy");
    }
  }

  async #run() {
    if (this.#running) return;
    this.#running = true;
    this.#part("answer").textContent = "…";
    this.#part("answer").textContent = await this.#call();
    this.#running = false;
  }

  async #call() {
    try {
      const response = await fetch(`${pathOf(this.#userId)}/messages`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"data":"hi"}',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const answer = await response.json();
      return response.ok ? `${answer.state}, offset ${answer.offset}` : `${response.status} ${answer.error.code}`;
    } catch {
      return "no answer";
    }
  }
}
