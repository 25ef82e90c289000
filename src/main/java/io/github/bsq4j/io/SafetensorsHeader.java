package io.github.bsq4j.io;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/**
 * What the header of a {@code .safetensors} file declares: free text by key, and tensors by name,
 * both in the order of the header.
 *
 * <p>Immutable, so safe for concurrent use.
 */
record SafetensorsHeader(
    SequencedMap<String, String> metadata, SequencedMap<String, SafetensorsEntry> tensors) {
  SafetensorsHeader {
    metadata = copy(metadata);
    tensors = copy(tensors);
  }

  private static <V> SequencedMap<String, V> copy(Map<String, V> map) {
    return Collections.unmodifiableSequencedMap(new LinkedHashMap<>(map));
  }
}
