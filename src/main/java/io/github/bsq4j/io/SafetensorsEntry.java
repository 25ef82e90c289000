package io.github.bsq4j.io;

/**
 * What the header of a {@code .safetensors} file declares about one tensor.
 *
 * <p>Immutable, so safe for concurrent use.
 */
final class SafetensorsEntry {
  private final String name;
  private final SafetensorsType type;
  private final long[] shape;
  private final long begin;
  private final long end;

  /** Creates an entry; the shape is copied. */
  SafetensorsEntry(String name, SafetensorsType type, long[] shape, long begin, long end) {
    this.name = name;
    this.type = type;
    this.shape = shape.clone();
    this.begin = begin;
    this.end = end;
  }

  String name() {
    return name;
  }

  SafetensorsType type() {
    return type;
  }

  /** The dimensions; a copy. */
  long[] shape() {
    return shape.clone();
  }

  /** Where the elements begin, in bytes from the end of the header. */
  long begin() {
    return begin;
  }

  /** Where the elements end, in bytes from the end of the header, exclusive. */
  long end() {
    return end;
  }

  long byteSize() {
    return end - begin;
  }
}
