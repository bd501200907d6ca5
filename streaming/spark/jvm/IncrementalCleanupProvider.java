package adstream;

import java.lang.reflect.Field;
import java.util.Map;

import org.apache.spark.SparkBuildInfo;
import org.apache.spark.TaskContext;
import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.sql.execution.streaming.state.ReadStateStore;
import org.apache.spark.sql.execution.streaming.state.RocksDB;
import org.apache.spark.sql.execution.streaming.state.RocksDBKeyStateEncoder;
import org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider;
import org.apache.spark.sql.execution.streaming.state.RocksDBValueStateEncoder;
import org.apache.spark.sql.execution.streaming.state.StateStore;
import org.apache.spark.sql.execution.streaming.state.StateStoreIterator;
import org.apache.spark.sql.execution.streaming.state.UnsafeRowPair;
import org.apache.spark.util.TaskCompletionListener;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;

import scala.Option;
import scala.Tuple3;
import scala.collection.AbstractIterator;
import scala.runtime.AbstractFunction0;
import scala.runtime.BoxedUnit;

/**
 * Spark's RocksDB state store, but each batch checks only a part of the entries for expired ones.
 *
 * Spark asks for all entries of a store at the end of each batch, and removes the entries that the watermark has
 * passed. So the time of a batch grows with the number of entries. This store answers with the next part of its
 * entries, in the order of their keys. The size of a part follows the time since the last part, so that all entries
 * have their turn within a minute. A part never has fewer than AT_LEAST entries. After the last entry the store begins
 * again with the first. The first answer after a start is all entries: otherwise a job that always runs for only a few
 * batches would keep the last entries for ever.
 *
 * After each round through all entries the store also knows their keys (KnownKeys). It does not ask RocksDB for a key
 * that cannot be there. Most new event ids are such keys.
 *
 * Files, keys and values are Spark's own. The store is right only where Spark asks for all entries in order to remove
 * some (streaming/spark/state_store.py says where).
 */
public class IncrementalCleanupProvider extends RocksDBStateStoreProvider {
    static final String SPARK = "4.1.1";
    static final long AT_LEAST = 10000;
    /** All entries have their turn within this many seconds. The property below changes the number. */
    static final long WITHIN = 60;
    static final String WITHIN_PROPERTY = "adstream.cleanup.seconds";

    /** Spark's handle on RocksDB; null under another Spark than SPARK: then the store is Spark's, unchanged. */
    private final Field database;
    /** The first key of the next part; null for the first part. */
    private byte[] next;
    /** The largest possible number of entries, without `added`; -1 until the first round is complete. */
    private long known = -1;
    /** The numbers of entries passed and written since this round began. */
    private long passed, added;
    /** The time when Spark asked for the last part, by System.nanoTime. */
    private long asked = System.nanoTime();
    /** The database of the fields above. Spark opens another when it goes back, or goes on from another's version. */
    private org.rocksdb.RocksDB open;
    /** All keys in the database, and some that have left it; null until the first round is complete. */
    private KnownKeys keys;
    /** The keys passed in this round, and the keys written since it began. */
    private KnownKeys nextKeys;

    public IncrementalCleanupProvider() throws NoSuchFieldException {
        database = SparkBuildInfo.spark_version().equals(SPARK) ? RocksDB.class.getDeclaredField("db") : null;
        if (database != null) {
            database.setAccessible(true);
        }
    }

    public StateStore getStore(long version, Option id) {
        return incremental(super.getStore(version, id));
    }

    public StateStore upgradeReadStoreToWriteStore(ReadStateStore store, long version, Option id) {
        return incremental(super.upgradeReadStoreToWriteStore(store, version, id));
    }

    /** Leaves other kinds of store unchanged: `part` cannot read the form of their keys and values. */
    private StateStore incremental(StateStore store) {
        boolean plain = database == null
            || org$apache$spark$sql$execution$streaming$state$RocksDBStateStoreProvider$$useColumnFamilies()
            || !stateStoreId().storeName().equals("default");
        if (plain) {
            return store;
        }
        look();
        return new KnowingStore(this, store);
    }

    /** Takes Spark's present database. If it is another one, this drops all knowledge of the former. */
    private void look() {
        final org.rocksdb.RocksDB found;
        try {
            found = (org.rocksdb.RocksDB) database.get(rocksDB());
        } catch (IllegalAccessException impossible) {
            throw new IllegalStateException(impossible);
        }
        if (found != open) {
            open = found;
            next = null;
            passed = 0;
            keys = isEmpty() ? new KnownKeys(0) : null;
            nextKeys = null;
        }
    }

    StateStoreIterator part(String family) {
        final RocksIterator entries = open.newIterator();
        TaskContext task = TaskContext.get();
        if (task != null) {
            task.addTaskCompletionListener(new TaskCompletionListener() {
                public void onTaskCompletion(TaskContext ended) {
                    entries.close();
                }
            });
        }
        if (next == null) {
            nextKeys = new KnownKeys(Math.max(known + added, estimate()));
            entries.seekToFirst();
        } else {
            entries.seek(next);
        }
        long most = known < 0 ? Long.MAX_VALUE : Math.max(AT_LEAST, (long) ((known + added) * share()) + 1);
        Map encoders = org$apache$spark$sql$execution$streaming$state$RocksDBStateStoreProvider$$keyValueEncoderMap();
        Tuple3 encoder = (Tuple3) encoders.get(family);
        Part part = new Part(this, entries, most, encoder);
        return new StateStoreIterator(part, new Closing(entries));
    }

    private boolean isEmpty() {
        RocksIterator entries = open.newIterator();
        try {
            entries.seekToFirst();
            return !entries.isValid();
        } finally {
            entries.close();
        }
    }

    /** The approximate number of keys, which sets the size of the filters. */
    private long estimate() {
        try {
            return open.getLongProperty("rocksdb.estimate-num-keys");
        } catch (RocksDBException unknown) {
            return 0;
        }
    }

    void wrote(UnsafeRow key) {
        added++;
        if (keys != null || nextKeys != null) {
            long hash = KnownKeys.hash(key);
            if (keys != null) {
                keys.add(hash);
            }
            if (nextKeys != null) {
                nextKeys.add(hash);
            }
        }
    }

    boolean mayHave(UnsafeRow key) {
        return keys == null || keys.mayContain(KnownKeys.hash(key));
    }

    private double share() {
        long now = System.nanoTime();
        double seconds = (now - asked) / 1e9;
        asked = now;
        return Math.min(1.0, seconds / Long.getLong(WITHIN_PROPERTY, WITHIN).longValue());
    }

    private void passedUpTo(long count, RocksIterator entries) {
        passed += count;
        if (entries.isValid()) {
            next = entries.key();
        } else {
            next = null;
            known = passed + added;
            keys = nextKeys;
            nextKeys = null;
            passed = 0;
            added = 0;
        }
        entries.close();
    }

    /** The next entries of a store. At its end it sets the beginning of the next part. */
    private static class Part extends AbstractIterator {
        private final IncrementalCleanupProvider provider;
        private final RocksIterator entries;
        private final long most;
        private final RocksDBKeyStateEncoder keys;
        private final RocksDBValueStateEncoder values;
        private final UnsafeRowPair pair = new UnsafeRowPair(null, null);
        private long count;
        private boolean ended;

        Part(IncrementalCleanupProvider provider, RocksIterator entries, long most, Tuple3 encoder) {
            this.provider = provider;
            this.entries = entries;
            this.most = most;
            this.keys = (RocksDBKeyStateEncoder) encoder._1();
            this.values = (RocksDBValueStateEncoder) encoder._2();
        }

        public boolean hasNext() {
            if (!ended && (count == most || !entries.isValid())) {
                ended = true;
                provider.passedUpTo(count, entries);
            }
            return !ended;
        }

        public Object next() {
            if (!hasNext()) {
                throw new java.util.NoSuchElementException();
            }
            UnsafeRow key = keys.decodeKey(entries.key());
            provider.nextKeys.add(KnownKeys.hash(key));
            pair.withRows(key, values.decodeValue(entries.value()));
            entries.next();
            count++;
            return pair;
        }
    }

    private static class Closing extends AbstractFunction0 {
        private final RocksIterator entries;

        Closing(RocksIterator entries) {
            this.entries = entries;
        }

        public Object apply() {
            entries.close();
            return BoxedUnit.UNIT;
        }
    }
}
