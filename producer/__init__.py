"""Events out: seeded generators, CSV replay, and the Avro publisher."""
