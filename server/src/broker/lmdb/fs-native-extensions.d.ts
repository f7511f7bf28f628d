declare module "fs-native-extensions" {
  /** Locks the open file for its descriptor, if nobody else has; the kernel frees the lock when the descriptor goes. */
  export function tryLock(fd: number): boolean;
}
