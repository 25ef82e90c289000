package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.HostBuffers;
import io.github.bsq4j.internal.NativeCalls;
import io.github.bsq4j.internal.NativeTensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Hamming distances between packed codes: in how many bits they differ. All bits of a code count,
 * whatever their order is; padding, which is 0, differs nowhere.
 *
 * <p>Codes are some bytes each, one after the other: those of {@link CodeLayout#BYTES}, or of
 * {@link CodeLayout#WORDS}, which have 8 bytes for each word. They may be anywhere: in arrays,
 * which are copied for each call, in native memory, or in a mapped file ({@link
 * java.nio.channels.FileChannel#map(java.nio.channels.FileChannel.MapMode, long, long, Arena)}),
 * which are read in place, from any byte on. A mapped file that somebody truncates meanwhile ends
 * the JVM.
 *
 * <p>Immutable, and safe to be shared by all threads; a call uses LibTorch's threads for many
 * codes. Arguments are checked as those of {@link BinarySphericalQuantizer} are: {@link
 * IllegalArgumentException} names sizes that do not fit.
 */
public final class HammingSearch {
  /** The largest codes, in bytes: 4096 bits. */
  public static final int MAX_CODE_BYTES = QuantizerOptions.MAX_CODE_DIM / Byte.SIZE;

  private final int codeBytes;
  private final Implementation implementation;

  private HammingSearch(int codeBytes, Implementation implementation) {
    this.codeBytes = codeBytes;
    this.implementation = implementation;
  }

  /**
   * A search among codes of so many bytes, 1 to {@value #MAX_CODE_BYTES}.
   *
   * @throws BsqException if the native library cannot be loaded
   */
  public static HammingSearch create(int codeBytes) {
    return create(codeBytes, Implementation.AUTOMATIC);
  }

  /** As {@link #create(int)}, of tensors computed by this implementation. */
  public static HammingSearch create(int codeBytes, Implementation implementation) {
    requireNonNull(implementation, "implementation");
    if (codeBytes < 1 || codeBytes > MAX_CODE_BYTES) {
      throw new IllegalArgumentException(
          "codeBytes is " + codeBytes + ", expected 1 to " + MAX_CODE_BYTES);
    }
    NativeCalls.requireLibrary();
    return new HammingSearch(codeBytes, implementation);
  }

  /**
   * The nearest codes of each query, {@code [queries, k]}: the nearest first, and of equally near
   * ones the first.
   *
   * @param k how many there are of each query
   * @param positions the numbers of the codes
   * @param distances in how many bits they differ from the query
   */
  @SuppressWarnings("ArrayRecordComponent") // results, as arrays of numbers
  public record Nearest(int k, long[] positions, int[] distances) {}

  // One query, all codes

  /**
   * The distance of each code from the query.
   *
   * @param query a code
   * @param codes {@code count} codes
   * @param distancesOut {@code count} of {@code int}
   */
  public void distances(
      MemorySegment query, MemorySegment codes, long count, MemorySegment distancesOut) {
    long codesBytes = HostBuffers.byteSize(count, codeBytes, 1);
    long distanceBytes = HostBuffers.byteSize(count, 1, Integer.BYTES);
    try (HostBuffers buffers = HostBuffers.open(false)) {
      MemorySegment queryIn =
          buffers.input("query", bytes("query", query), codeBytes, ValueLayout.JAVA_BYTE);
      MemorySegment codesIn =
          buffers.input("codes", bytes("codes", codes), codesBytes, ValueLayout.JAVA_BYTE);
      MemorySegment out =
          buffers.output("distancesOut", distancesOut, distanceBytes, ValueLayout.JAVA_INT);
      HostBuffers.requireApart(
          "distancesOut", distancesOut, distanceBytes, "codes", codes, codesBytes);
      HostBuffers.requireApart(
          "distancesOut", distancesOut, distanceBytes, "query", query, codeBytes);
      NativeCalls.hamming(codeBytes, queryIn, count, codesIn, out);
      buffers.copyBack();
    }
  }

  /** The distance of each of the codes from the query. */
  public int[] distances(byte[] query, byte[] codes) {
    requireCode("query", requireNonNull(query, "query").length);
    int[] distances = new int[(int) count("codes", requireNonNull(codes, "codes").length)];
    distances(
        MemorySegment.ofArray(query),
        MemorySegment.ofArray(codes),
        distances.length,
        MemorySegment.ofArray(distances));
    return distances;
  }

  /**
   * The distances of all codes from each query.
   *
   * @param arena where the result lives
   * @param queries UINT8 {@code [queries, codeBytes]}
   * @param codes UINT8 {@code [codes, codeBytes]}, on the same device
   * @return INT32 {@code [queries, codes]}
   */
  public Tensor distances(Arena arena, Tensor queries, Tensor codes) {
    requireCodes("queries", queries);
    requireCodes("codes", codes);
    return new Tensor(
        arena, NativeTensors.hamming(arena, queries.handle(), codes.handle(), implementation));
  }

  // The nearest

  /**
   * The k nearest codes of each query.
   *
   * @param queries {@code queryCount} codes
   * @param codes {@code count} codes
   * @param k 1 to {@code count}
   */
  public Nearest nearest(
      MemorySegment queries, long queryCount, MemorySegment codes, long count, int k) {
    long queryBytes = HostBuffers.byteSize(queryCount, codeBytes, 1);
    long codesBytes = HostBuffers.byteSize(count, codeBytes, 1);
    if (k < 1 || k > count) {
      throw new IllegalArgumentException(
          "k is " + k + ", expected 1 to " + count + ", the number of codes");
    }
    int results = QuantizerShapes.arrayLength(queryCount, k);
    long[] positions = new long[results];
    int[] distances = new int[results];
    try (HostBuffers buffers = HostBuffers.open(false)) {
      MemorySegment queriesIn =
          buffers.input("queries", bytes("queries", queries), queryBytes, ValueLayout.JAVA_BYTE);
      MemorySegment codesIn =
          buffers.input("codes", bytes("codes", codes), codesBytes, ValueLayout.JAVA_BYTE);
      MemorySegment positionsOut =
          buffers.output(
              "positions",
              MemorySegment.ofArray(positions),
              (long) results * Long.BYTES,
              ValueLayout.JAVA_LONG);
      MemorySegment distancesOut =
          buffers.output(
              "distances",
              MemorySegment.ofArray(distances),
              (long) results * Integer.BYTES,
              ValueLayout.JAVA_INT);
      NativeCalls.nearest(
          codeBytes, queryCount, queriesIn, count, codesIn, k, positionsOut, distancesOut);
      buffers.copyBack();
    }
    return new Nearest(k, positions, distances);
  }

  /** The k nearest of the codes to each of the queries. */
  public Nearest nearest(byte[] queries, byte[] codes, int k) {
    return nearest(
        MemorySegment.ofArray(requireNonNull(queries, "queries")),
        count("queries", queries.length),
        MemorySegment.ofArray(requireNonNull(codes, "codes")),
        count("codes", codes.length),
        k);
  }

  /** The k nearest of the codes to each of the queries, whose words are 8 bytes each. */
  public Nearest nearest(long[] queries, long[] codes, int k) {
    return nearest(
        MemorySegment.ofArray(requireNonNull(queries, "queries")),
        count("queries", (long) queries.length * Long.BYTES),
        MemorySegment.ofArray(requireNonNull(codes, "codes")),
        count("codes", (long) codes.length * Long.BYTES),
        k);
  }

  /**
   * The positions, INT64, and distances, INT32, of the k nearest codes of each query.
   *
   * @param positions {@code [queries, k]}
   * @param distances {@code [queries, k]}
   */
  public record NearestTensors(Tensor positions, Tensor distances) {}

  /**
   * The k nearest codes of each query.
   *
   * @param arena where the results live
   * @param queries UINT8 {@code [queries, codeBytes]}
   * @param codes UINT8 {@code [codes, codeBytes]}, on the same device
   * @param k 1 to the number of codes
   */
  public NearestTensors nearest(Arena arena, Tensor queries, Tensor codes, int k) {
    requireCodes("queries", queries);
    requireCodes("codes", codes);
    if (k < 1 || k > codes.shape()[0]) {
      throw new IllegalArgumentException(
          "k is " + k + ", expected 1 to " + codes.shape()[0] + ", the number of codes");
    }
    MemorySegment[] results =
        NativeTensors.nearest(arena, queries.handle(), codes.handle(), k, implementation);
    return new NearestTensors(new Tensor(arena, results[0]), new Tensor(arena, results[1]));
  }

  // Checks

  /** Arrays of whatever numbers are bytes here. */
  private static MemorySegment bytes(String name, MemorySegment segment) {
    requireNonNull(segment, name);
    if (segment.isNative() || segment.heapBase().orElse(null) instanceof byte[]) {
      return segment;
    }
    if (segment.heapBase().orElse(null) instanceof long[]) {
      return MemorySegment.ofArray(segment.toArray(ValueLayout.JAVA_BYTE));
    }
    throw new IllegalArgumentException(
        name + " is no array of bytes or longs, expected packed codes");
  }

  private void requireCode(String name, int length) {
    if (length != codeBytes) {
      throw new IllegalArgumentException(
          name + " has " + length + " bytes, expected codeBytes " + codeBytes);
    }
  }

  private long count(String name, long bytes) {
    if (bytes % codeBytes != 0) {
      throw new IllegalArgumentException(
          "%s has %d bytes, which are no whole codes of %d".formatted(name, bytes, codeBytes));
    }
    return bytes / codeBytes;
  }

  private void requireCodes(String name, Tensor tensor) {
    if (requireNonNull(tensor, name).dtype() != DType.UINT8) {
      throw new IllegalArgumentException(name + " is " + tensor.dtype() + ", expected UINT8");
    }
    long[] shape = tensor.shape();
    if (shape.length != 2 || shape[1] != codeBytes) {
      throw new IllegalArgumentException(
          "%s has shape %s, expected [codes, %d]"
              .formatted(name, Arrays.toString(shape), codeBytes));
    }
  }

  @Override
  public String toString() {
    return "HammingSearch[codeBytes=" + codeBytes + "]";
  }
}
