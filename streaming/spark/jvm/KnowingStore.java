package adstream;

import org.apache.spark.sql.catalyst.expressions.UnsafeRow;
import org.apache.spark.sql.execution.streaming.state.KeyStateEncoderSpec;
import org.apache.spark.sql.execution.streaming.state.StateStore;
import org.apache.spark.sql.execution.streaming.state.StateStoreCheckpointInfo;
import org.apache.spark.sql.execution.streaming.state.StateStoreId;
import org.apache.spark.sql.execution.streaming.state.StateStoreIterator;
import org.apache.spark.sql.execution.streaming.state.StateStoreMetrics;
import org.apache.spark.sql.types.StructType;

import scala.collection.Iterator;

/** Spark's store with another `iterator`, and a `get` that asks only for keys that may be there. */
class KnowingStore implements StateStore {
    private final IncrementalCleanupProvider provider;
    private final StateStore store;

    KnowingStore(IncrementalCleanupProvider provider, StateStore store) {
        this.provider = provider;
        this.store = store;
    }

    public StateStoreIterator iterator(String family) {
        return provider.part(family);
    }

    public void put(UnsafeRow key, UnsafeRow value, String family) {
        provider.wrote(key);
        store.put(key, value, family);
    }

    public void putList(UnsafeRow key, UnsafeRow[] values, String family) {
        provider.wrote(key);
        store.putList(key, values, family);
    }

    public void merge(UnsafeRow key, UnsafeRow value, String family) {
        provider.wrote(key);
        store.merge(key, value, family);
    }

    public void mergeList(UnsafeRow key, UnsafeRow[] values, String family) {
        provider.wrote(key);
        store.mergeList(key, values, family);
    }

    public StateStoreId id() {
        return store.id();
    }

    public long version() {
        return store.version();
    }

    public UnsafeRow get(UnsafeRow key, String family) {
        return provider.mayHave(key) ? store.get(key, family) : null;
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
