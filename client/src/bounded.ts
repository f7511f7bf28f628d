/** Forgets the oldest entries of a map or set until there are at most `max`. */
export function forgetOldest<Id>(entries: Map<Id, unknown> | Set<Id>, max: number): void {
  for (const oldest of entries.keys()) {
    if (entries.size <= max) break;
    entries.delete(oldest);
  }
}
