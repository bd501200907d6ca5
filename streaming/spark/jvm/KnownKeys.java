package adstream;

import java.util.ArrayList;
import java.util.List;

import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.sql.catalyst.expressions.XXH64;

/**
 * Bloom filters over the keys of a store. They recognise most missing keys, and never call a stored key missing. When
 * the last filter is full, a filter of twice its size follows.
 */
class KnownKeys {
    private static final int LEAST = 4000;
    /** With this many bits a key, the filters take about one missing key in fifty for a stored one. */
    private static final int BITS_PER_KEY = 12;
    /** All bits of a key are in one block, which is one line of the processor's cache. */
    private static final int WORDS_PER_BLOCK = 8;
    private static final int BITS_OF_A_HASH = 4;
    /** 32 MiB, enough for 22 million keys in a partition. Beyond that, more lookups find nothing. */
    private static final long MOST_WORDS = 4L << 20;

    private final List filters = new ArrayList();
    private long[] last;
    private long room;
    private long size;
    private long words;

    /** Makes filters with room for this many keys before another filter follows. */
    KnownKeys(long keys) {
        grow(Math.max(LEAST, keys));
    }

    static long hash(UnsafeRow key) {
        return XXH64.hashUnsafeBytes(key.getBaseObject(), key.getBaseOffset(), key.getSizeInBytes(), 42L);
    }

    void add(long hash) {
        if (mayContain(hash)) {
            return;
        }
        if (room == 0) {
            grow(2 * size);
        }
        room--;
        int block = block(hash, last);
        for (int nth = 0; nth < BITS_OF_A_HASH; nth++) {
            int bit = bit(hash, nth);
            last[block + (bit >>> 6)] |= 1L << bit;
        }
    }

    boolean mayContain(long hash) {
        for (int nth = filters.size() - 1; nth >= 0; nth--) {
            if (mayContain(hash, (long[]) filters.get(nth))) {
                return true;
            }
        }
        return false;
    }

    private void grow(long keys) {
        long wanted = Math.min(keys * BITS_PER_KEY / 64, MOST_WORDS - words) / WORDS_PER_BLOCK;
        if (wanted == 0) {
            room = Long.MAX_VALUE;
            return;
        }
        last = new long[(int) wanted * WORDS_PER_BLOCK];
        filters.add(last);
        words += last.length;
        size = keys;
        room = keys;
    }

    private static boolean mayContain(long hash, long[] filter) {
        int block = block(hash, filter);
        for (int nth = 0; nth < BITS_OF_A_HASH; nth++) {
            int bit = bit(hash, nth);
            if ((filter[block + (bit >>> 6)] & 1L << bit) == 0) {
                return false;
            }
        }
        return true;
    }

    /** The upper 28 bits of a hash choose the block, and the lower 36 the bits in it. */
    private static int block(long hash, long[] filter) {
        return (int) ((hash >>> 36) * (filter.length / WORDS_PER_BLOCK) >>> 28) * WORDS_PER_BLOCK;
    }

    private static int bit(long hash, int nth) {
        return (int) (hash >>> 9 * nth) & 511;
    }
}
