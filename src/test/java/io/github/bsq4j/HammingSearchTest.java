package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class HammingSearchTest {
  private static byte[] bytes(int seed, int size) {
    byte[] bytes = new byte[size];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  private static int distance(byte[] a, int aCode, byte[] b, int bCode, int size) {
    return IntStream.range(0, size)
        .map(i -> Integer.bitCount((a[aCode * size + i] ^ b[bCode * size + i]) & 0xff))
        .sum();
  }

  /** Positions by distance, then by position. */
  private static int[] sorted(byte[] queries, int query, byte[] codes, int size) {
    return IntStream.range(0, codes.length / size)
        .boxed()
        .sorted(Comparator.comparingInt(i -> distance(queries, query, codes, i, size)))
        .mapToInt(i -> i)
        .toArray();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 8, 13, 16, 32, 48, 128, 512})
  void equalsTheNaiveSearch(int size) {
    byte[] codes = bytes(1, 500 * size);
    byte[] queries = bytes(2, 3 * size);
    HammingSearch search = HammingSearch.create(size);
    HammingSearch.Nearest nearest = search.nearest(queries, codes, 20);
    assertEquals(20, nearest.k());
    for (int q = 0; q < 3; q++) {
      byte[] query = Arrays.copyOfRange(queries, q * size, (q + 1) * size);
      int[] distances = search.distances(query, codes);
      int[] sorted = sorted(queries, q, codes, size);
      for (int i = 0; i < 20; i++) {
        assertEquals(sorted[i], nearest.positions()[q * 20 + i]);
        int expected = distance(queries, q, codes, sorted[i], size);
        assertEquals(expected, nearest.distances()[q * 20 + i]);
        assertEquals(expected, distances[sorted[i]]);
      }
    }
  }

  /** From a byte that is aligned to nothing, to the end of the file. */
  @Test
  void mappedFiles(@TempDir Path folder) throws Exception {
    byte[] file = bytes(3, 5 + 1000 * 7);
    Path path = Files.write(folder.resolve("codes"), file);
    byte[] codes = Arrays.copyOfRange(file, 5, file.length);
    byte[] query = bytes(4, 7);
    HammingSearch search = HammingSearch.create(7);
    HammingSearch.Nearest expected = search.nearest(query, codes, 9);
    MemorySegment mapped;
    try (FileChannel channel = FileChannel.open(path);
        Arena arena = Arena.ofConfined()) {
      mapped = channel.map(MapMode.READ_ONLY, 0, file.length, arena).asSlice(5);
      MemorySegment inNative = arena.allocateFrom(ValueLayout.JAVA_BYTE, query);
      HammingSearch.Nearest nearest = search.nearest(inNative, 1, mapped, 1000, 9);
      assertArrayEquals(expected.positions(), nearest.positions());
      assertArrayEquals(expected.distances(), nearest.distances());
      MemorySegment distances = arena.allocate(4000, 4);
      search.distances(inNative, mapped, 1000, distances);
      assertArrayEquals(search.distances(query, codes), distances.toArray(ValueLayout.JAVA_INT));
    }
    MemorySegment closed = mapped;
    assertThrows(
        IllegalStateException.class,
        () -> search.nearest(MemorySegment.ofArray(query), 1, closed, 1000, 9));
  }

  @Test
  void wordsAreTheirBytes() {
    long[] codes = {0, -1, 1, 3, 0b111, 0, 1L << 63};
    HammingSearch.Nearest nearest = HammingSearch.create(8).nearest(new long[] {1}, codes, 4);
    assertArrayEquals(new long[] {2, 0, 3, 5}, nearest.positions());
    assertArrayEquals(new int[] {0, 1, 1, 1}, nearest.distances());
    HammingSearch.Nearest pairs =
        HammingSearch.create(16).nearest(new long[] {1, 1}, new long[] {0, 0, 1, 0}, 2);
    assertArrayEquals(new long[] {1, 0}, pairs.positions());
  }

  @OnDevice
  @ParameterizedTest
  @MethodSource("io.github.bsq4j.device.TestDevice#implementations")
  void tensorsGiveTheSame(Implementation implementation) {
    byte[] codes = bytes(5, 300 * 6);
    byte[] queries = bytes(6, 2 * 6);
    HammingSearch.Nearest expected = HammingSearch.create(6).nearest(queries, codes, 8);
    HammingSearch search = HammingSearch.create(6, implementation);
    try (Arena arena = Arena.ofConfined()) {
      Tensor queryTensor = TestDevice.put(arena, Tensor.of(arena, queries, 2, 6));
      Tensor codeTensor = TestDevice.put(arena, Tensor.of(arena, codes, 300, 6));
      HammingSearch.NearestTensors nearest = search.nearest(arena, queryTensor, codeTensor, 8);
      assertArrayEquals(new long[] {2, 8}, nearest.positions().shape());
      assertArrayEquals(expected.positions(), nearest.positions().toLongArray());
      assertEquals(DType.INT32, nearest.distances().dtype());
      Tensor distances = search.distances(arena, queryTensor, codeTensor);
      assertArrayEquals(new long[] {2, 300}, distances.shape());
      assertEquals(
          "k is 301, expected 1 to 300, the number of codes",
          assertThrows(
                  IllegalArgumentException.class,
                  () -> search.nearest(arena, queryTensor, codeTensor, 301))
              .getMessage());
      assertRefused(
          "codes has shape [2, 6], expected [codes, 5]",
          () ->
              HammingSearch.create(5)
                  .distances(arena, Tensor.of(arena, new byte[5], 1, 5), queryTensor));
    }
  }

  @Test
  void whatDoesNotFit() {
    HammingSearch search = HammingSearch.create(3);
    assertRefused("codeBytes is 0, expected 1 to 512", () -> HammingSearch.create(0));
    assertRefused("codeBytes is 513, expected 1 to 512", () -> HammingSearch.create(513));
    assertRefused(
        "query has 2 bytes, expected codeBytes 3",
        () -> search.distances(new byte[2], new byte[3]));
    assertRefused(
        "codes has 4 bytes, which are no whole codes of 3",
        () -> search.nearest(new byte[3], new byte[4], 1));
    for (int k : new int[] {-1, 0, 3}) {
      assertRefused(
          "k is " + k + ", expected 1 to 2, the number of codes",
          () -> search.nearest(new byte[3], new byte[6], k));
    }
    assertRefused(
        "codes is no array of bytes or longs, expected packed codes",
        () ->
            search.nearest(
                MemorySegment.ofArray(new byte[3]), 1, MemorySegment.ofArray(new int[3]), 4, 1));
    assertRefused(
        "codes has 5 bytes, expected at least 6",
        () ->
            search.nearest(
                MemorySegment.ofArray(new byte[3]), 1, MemorySegment.ofArray(new byte[5]), 2, 1));
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }
}
