package segue;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * The plain fold, as benchmarks/workload has it in Go. It works on the bytes that the store gives
 * and takes, so that a step of this peer encodes and decodes nothing. A state is 25 words of 64
 * bits, little-endian, and then its padding, which stands for a larger profile:
 *
 * <pre>
 *   count sum last hash kinds[4] recent[16] level pad[…]
 * </pre>
 *
 * An event (sequence, at, amount from 1 to 199, kind from 0 to 3) does, and all arithmetic wraps:
 *
 * <pre>
 *    1  count = 0 before it: pad[i] = (sequence + i + 1) · M for each i
 *    2  count ← count + 1
 *    3  sum ← sum + amount
 *    4  last ← sequence
 *    5  kinds[kind] ← kinds[kind] + 1
 *    6  recent[count mod 16] ← amount
 *    7  hash ← (hash xor sequence) · M
 *    8  pad[count mod len(pad)] ← hash, if there is padding
 *    9  sum / 1000 > level: level ← sum / 1000, and
 *   10  an output (count, sum, sum of recent, at), which is every tenth event or so
 * </pre>
 *
 * M is 0x9E3779B97F4A7C15.
 */
final class Fold {
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  private static final long M = 0x9E3779B97F4A7C15L;
  private static final int HEADER = 8 + 8 + 4 + 1;

  // Where the words of a state begin.
  private static final int COUNT = 0, SUM = 1, LAST = 2, HASH = 3, KINDS = 4, RECENT = 8;
  private static final int LEVEL = 24, PAD = 25;

  private Fold() {}

  /** A customer never met, with that many words of padding. */
  static byte[] fresh(int pads) {
    return new byte[8 * (PAD + pads)];
  }

  /** Folds an event into the state, and returns the output, or null when there is none. */
  static byte[] apply(byte[] state, byte[] event) {
    if (event.length < HEADER || event[HEADER - 1] < 0 || event[HEADER - 1] > 3) {
      throw new IllegalArgumentException(
          "got an event of " + event.length + " bytes, want " + HEADER + " or more, and a kind from 0 to 3");
    }
    long sequence = (long) LONG.get(event, 0);
    long at = (long) LONG.get(event, 8);
    long amount = (int) INT.get(event, 16);
    int kind = event[HEADER - 1];
    int pads = state.length / 8 - PAD;

    long count = word(state, COUNT);
    if (count == 0) {
      for (int i = 0; i < pads; i++) {
        set(state, PAD + i, (sequence + i + 1) * M);
      }
    }
    count++;
    long sum = word(state, SUM) + amount;
    long hash = (word(state, HASH) ^ sequence) * M;
    set(state, COUNT, count);
    set(state, SUM, sum);
    set(state, LAST, sequence);
    set(state, KINDS + kind, word(state, KINDS + kind) + 1);
    set(state, RECENT + (int) (count % 16), amount);
    set(state, HASH, hash);
    if (pads > 0) {
      set(state, PAD + (int) (count % pads), hash);
    }
    if (sum / 1000 <= word(state, LEVEL)) {
      return null;
    }
    set(state, LEVEL, sum / 1000);
    long recent = 0;
    for (int i = 0; i < 16; i++) {
      recent += word(state, RECENT + i);
    }
    byte[] output = new byte[32];
    set(output, 0, count);
    set(output, 1, sum);
    set(output, 2, recent);
    set(output, 3, at);
    return output;
  }

  private static long word(byte[] b, int i) {
    return (long) LONG.get(b, 8 * i);
  }

  private static void set(byte[] b, int i, long w) {
    LONG.set(b, 8 * i, w);
  }
}
