/**
 * How clients of tests come back: soon. A WebSocket that is cut after it opened and before the engine's first packet is noticed
 * by Socket.IO's timeout alone, whose default is 20 s.
 */
export const RECONNECT = { reconnectionDelay: 20, reconnectionDelayMax: 100, timeout: 5_000 } as const;
