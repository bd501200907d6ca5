package adstream;

import java.lang.reflect.Field;
import java.util.Map;

import org.apache.spark.SparkBuildInfo;
import org.apache.spark.TaskContext;
import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.sql.execution.streaming.state.KeyStateEncoderSpec;
import org.apache.spark.sql.execution.streaming.state.ReadStateStore;
import org.apache.spark.sql.execution.streaming.state.RocksDB;
import org.apache.spark.sql.execution.streaming.state.RocksDBKeyStateEncoder;
import org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider;
import org.apache.spark.sql.execution.streaming.state.RocksDBValueStateEncoder;
import org.apache.spark.sql.execution.streaming.state.StateStore;
import org.apache.spark.sql.execution.streaming.state.StateStoreCheckpointInfo;
import org.apache.spark.sql.execution.streaming.state.StateStoreId;
import org.apache.spark.sql.execution.streaming.state.StateStoreIterator;
import org.apache.spark.sql.execution.streaming.state.StateStoreMetrics;
import org.apache.spark.sql.execution.streaming.state.UnsafeRowPair;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.TaskCompletionListener;
import org.rocksdb.RocksIterator;

import scala.Option;
import scala.Tuple3;
import scala.collection.AbstractIterator;
import scala.collection.Iterator;
import scala.runtime.AbstractFunction0;
import scala.runtime.BoxedUnit;

/**
 * Spark's RocksDB state store, of which each batch looks through a part for what has expired, and not through all.
 *
 * Spark asks for all entries of a store at the end of each batch, and removes those that the watermark has passed. So
 * a batch takes as long as there are entries. Here the store answers with the next part of its entries, in the order
 * of their keys: one in BATCHES of them, and never less than AT_LEAST. Where batches are rare a part is larger, so that
 * all entries have their turn within a minute of work. After the last one it begins anew. The first time after a start
 * it answers with all of them, or a job that is only ever run for some batches would keep the last ones for ever.
 *
 * Files, keys and values are Spark's own. It may be used only where Spark asks for all entries in order to remove some
 * (streaming/state_store.py says where).
 */
public class IncrementalCleanupProvider extends RocksDBStateStoreProvider {
    static final String SPARK = "4.1.1";
    static final int BATCHES = 20;
    static final long AT_LEAST = 10000;
    /** Seconds in which all entries have their turn, and where it is changed. */
    static final long WITHIN = 60;
    static final String WITHIN_PROPERTY = "adstream.cleanup.seconds";

    /** Spark's handle on RocksDB; null under another Spark than SPARK, whose stores are left as they are. */
    private final Field database;
    /** The first key of the next part; null where that is the first of all. */
    private byte[] next;
    /** How many entries there are at most, less the `added`: -1 until all of them have been looked at once. */
    private long known = -1;
    /** How many entries were looked at, and how many were written, since the first of all was looked at. */
    private long passed, added;
    /** When the last part was asked for, by System.nanoTime. */
    private long asked = System.nanoTime();

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

    /** Other kinds of store have keys and values that are not made as `part` takes them for. */
    private StateStore incremental(StateStore store) {
        boolean plain = database == null
            || org$apache$spark$sql$execution$streaming$state$RocksDBStateStoreProvider$$useColumnFamilies()
            || !stateStoreId().storeName().equals("default");
        return plain ? store : new Store(this, store);
    }

    private StateStoreIterator part(String family) {
        final RocksIterator entries;
        try {
            entries = ((org.rocksdb.RocksDB) database.get(rocksDB())).newIterator();
        } catch (IllegalAccessException impossible) {
            throw new IllegalStateException(impossible);
        }
        TaskContext task = TaskContext.get();
        if (task != null) {
            task.addTaskCompletionListener(new TaskCompletionListener() {
                public void onTaskCompletion(TaskContext ended) {
                    entries.close();
                }
            });
        }
        if (next == null) {
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

    private double share() {
        long now = System.nanoTime();
        double seconds = (now - asked) / 1e9;
        asked = now;
        return Math.min(1.0, Math.max(1.0 / BATCHES, seconds / Long.getLong(WITHIN_PROPERTY, WITHIN).longValue()));
    }

    private void passedUpTo(long count, RocksIterator entries) {
        passed += count;
        if (entries.isValid()) {
            next = entries.key();
        } else {
            next = null;
            known = passed + added;
            passed = 0;
            added = 0;
        }
        entries.close();
    }

    /** The next entries of a store, and at their end where the next part begins. */
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
            pair.withRows(keys.decodeKey(entries.key()), values.decodeValue(entries.value()));
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

    /** Spark's store with another `iterator`; and what is written is counted. */
    private static class Store implements StateStore {
        private final IncrementalCleanupProvider provider;
        private final StateStore store;

        Store(IncrementalCleanupProvider provider, StateStore store) {
            this.provider = provider;
            this.store = store;
        }

        public StateStoreIterator iterator(String family) {
            return provider.part(family);
        }

        public void put(UnsafeRow key, UnsafeRow value, String family) {
            provider.added++;
            store.put(key, value, family);
        }

        public void putList(UnsafeRow key, UnsafeRow[] values, String family) {
            provider.added++;
            store.putList(key, values, family);
        }

        public void merge(UnsafeRow key, UnsafeRow value, String family) {
            provider.added++;
            store.merge(key, value, family);
        }

        public void mergeList(UnsafeRow key, UnsafeRow[] values, String family) {
            provider.added++;
            store.mergeList(key, values, family);
        }

        public StateStoreId id() {
            return store.id();
        }

        public long version() {
            return store.version();
        }

        public UnsafeRow get(UnsafeRow key, String family) {
            return store.get(key, family);
        }

        public Iterator valuesIterator(UnsafeRow key, String family) {
            return store.valuesIterator(key, family);
        }

        public StateStoreIterator prefixScan(UnsafeRow prefix, String family) {
            return store.prefixScan(prefix, family);
        }

        public void remove(UnsafeRow key, String family) {
            store.remove(key, family);
        }

        public void createColFamilyIfAbsent(
            String family, StructType key, StructType value, KeyStateEncoderSpec spec, boolean several, boolean internal
        ) {
            store.createColFamilyIfAbsent(family, key, value, spec, several, internal);
        }

        public boolean removeColFamilyIfExists(String family) {
            return store.removeColFamilyIfExists(family);
        }

        public long commit() {
            return store.commit();
        }

        public void abort() {
            store.abort();
        }

        public void release() {
            store.release();
        }

        public boolean hasCommitted() {
            return store.hasCommitted();
        }

        public StateStoreMetrics metrics() {
            return store.metrics();
        }

        public StateStoreCheckpointInfo getStateStoreCheckpointInfo() {
            return store.getStateStoreCheckpointInfo();
        }

        public String toString() {
            return store.toString();
        }
    }
}
