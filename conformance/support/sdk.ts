import type { Position } from "@usercast/protocol";
import { io } from "socket.io-client";
import type { Addressed } from "./http.ts";

/** What accompanies a message. */
export interface SdkInfo {
  readonly offset: number;
  readonly epoch: string;
  readonly volatile: boolean;
  readonly from?: string;
  readonly key?: string;
}

/** The SDK's client, as far as the tests use it. */
export interface SdkClient {
  readonly userId: string | undefined;
  readonly status: string;
  readonly position: Position | undefined;
  readonly socket: {
    readonly connected: boolean;
    emit(event: string, ...args: unknown[]): unknown;
    on(event: string, listener: (...args: never[]) => void): unknown;
  };
  readonly lifecycle: { on(event: string, listener: (...args: never[]) => void): () => void };
  on(event: string, handler: (data: unknown, info: SdkInfo) => unknown): () => void;
  to(user: string): { emit(event: string, data: unknown): Promise<{ readonly to: string; readonly state: string }> };
  close(): unknown;
}

/** The SDK's entry. */
export interface Sdk {
  connect(url: string, options: object): SdkClient;
}

/** The SDK as a page gets it: the script the server itself serves, evaluated on top of a global `io`. */
export async function loadSdk(server: Addressed): Promise<Sdk> {
  const response = await fetch(`${server.url}/usercast.js`);
  if (response.status !== 200) throw new Error(`The server answered ${response.status} for its SDK.`);
  const script = await response.text();
  return new Function("io", `${script}\nreturn usercast;`)(io) as Sdk;
}
