package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.bsq4j.CodebookUsage.CodeCount;
import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;

/** How usage adds up, and what it says, by an oracle of its own, whatever the codes are. */
class UsageIdentitiesTest {
  /** Some rows of codes, each bit as a byte: {@code [rows, codebooks, codeDim]}. */
  record Codes(QuantizerOptions options, long seed, int rows) {
    byte[] bits() {
      return bits(0, rows);
    }

    /** Of rows [from, to). Some bits are likelier than others, and follow those before them. */
    byte[] bits(int from, int to) {
      int length = options.rowLength();
      byte[] bits = new byte[(to - from) * length];
      for (int row = from; row < to; row++) {
        Random random = new Random(seed * 31 + row);
        for (int i = 0; i < length; i++) {
          int place = (row - from) * length + i;
          int choice = random.nextInt(8);
          bits[place] = i > 0 && choice < 2 ? bits[place - 1] : (byte) (choice < 4 + i % 4 ? 1 : 0);
        }
      }
      return bits;
    }

    CodebookUsage usage() {
      return usage(0, rows);
    }

    CodebookUsage usage(int from, int to) {
      CodebookUsage usage = CodebookUsage.create(options);
      usage.add(bits(from, to), CodeLayout.BITS);
      return usage;
    }
  }

  @Provide
  Arbitrary<Codes> codes() {
    Arbitrary<Integer> dims =
        Arbitraries.frequencyOf(
            Tuple.of(6, Arbitraries.integers().between(1, 14)),
            Tuple.of(3, Arbitraries.integers().between(19, 70)),
            Tuple.of(1, Arbitraries.of(127, 128, 300)));
    return Combinators.combine(
            dims,
            Arbitraries.integers().between(1, 3),
            Arbitraries.longs(),
            Arbitraries.integers().between(0, 200),
            Arbitraries.of(List.copyOf(Convention.names())),
            Arbitraries.of(Implementation.AUTOMATIC, Implementation.KERNELS))
        .as(
            (dim, codebooks, seed, rows, convention, implementation) ->
                new Codes(
                    QuantizerOptions.builder(dim)
                        .codebooks(codebooks)
                        .convention(Convention.named(convention))
                        .implementation(implementation)
                        .build(),
                    seed,
                    rows));
  }

  // Adding up

  @Property(tries = 100)
  void partsAddUpToOnePass(@ForAll("codes") Codes codes, @ForAll Random random) {
    CodebookUsage streamed = CodebookUsage.create(codes.options());
    CodebookUsage merged = CodebookUsage.create(codes.options());
    for (int row = 0; row < codes.rows(); ) {
      int end = Math.min(codes.rows(), row + random.nextInt(80));
      streamed.add(codes.bits(row, end), CodeLayout.BITS);
      merged.add(codes.usage(row, end));
      row = end;
    }
    byte[] expected = codes.usage().toBytes();
    assertArrayEquals(expected, streamed.toBytes());
    assertArrayEquals(expected, merged.toBytes());
  }

  @Property(tries = 100)
  void plusIsAssociativeAndCommutative(@ForAll("codes") Codes codes, @ForAll Random random) {
    int first = random.nextInt(codes.rows() + 1);
    int second = first + random.nextInt(codes.rows() - first + 1);
    CodebookUsage a = codes.usage(0, first);
    CodebookUsage b = codes.usage(first, second);
    CodebookUsage c = codes.usage(second, codes.rows());
    byte[] before = a.toBytes();
    byte[] expected = codes.usage().toBytes();
    assertArrayEquals(expected, a.plus(b).plus(c).toBytes());
    assertArrayEquals(expected, a.plus(b.plus(c)).toBytes());
    assertArrayEquals(expected, c.plus(b).plus(a).toBytes());
    assertArrayEquals(before, a.toBytes());
    assertArrayEquals(before, a.plus(CodebookUsage.create(codes.options())).toBytes());
    assertEquals(codes.options(), a.plus(b).options());
  }

  @Property(tries = 100)
  void whatIsWrittenIsRead(@ForAll("codes") Codes codes) {
    byte[] bytes = codes.usage().toBytes();
    CodebookUsage read = CodebookUsage.fromBytes(codes.options(), bytes);
    assertEquals(codes.rows(), read.rows());
    assertArrayEquals(bytes, read.toBytes());
    assertArrayEquals(bytes, CodebookUsage.fromBytes(bytes).toBytes());
  }

  // The same of all layouts and paths

  @OnDevice
  @Property(tries = 60)
  void layoutsAndPathsDoNotMatter(@ForAll("codes") Codes codes, @ForAll Random random) {
    byte[] bits = codes.bits();
    boolean[] counted = new boolean[codes.rows()];
    List<byte[]> countedRows = new ArrayList<>();
    int length = codes.options().rowLength();
    for (int row = 0; row < counted.length; row++) {
      counted[row] = random.nextInt(3) > 0;
      if (counted[row]) {
        countedRows.add(Arrays.copyOfRange(bits, row * length, (row + 1) * length));
      }
    }
    CodebookUsage expected = CodebookUsage.create(codes.options());
    countedRows.forEach(row -> expected.add(row, CodeLayout.BITS));
    for (CodeLayout layout : CodeLayout.values()) {
      QuantizerOptions options =
          layout == CodeLayout.INDICES
              ? codes.options().toBuilder().groupSize(groupSize(codes.options(), random)).build()
              : codes.options();
      Batch batch = Batch.of(codes.rows()).withMask(counted);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment stored =
            arena.allocate(
                (long) codes.rows() * layout.elementsPerRow(options) * layout.elementSize(), 8);
        CodeConverter.create(options, CodeLayout.BITS, options, layout)
            .convert(MemorySegment.ofArray(bits), codes.rows(), stored);
        CodebookUsage host = CodebookUsage.create(options);
        host.add(stored, layout, batch);
        assertArrayEquals(expected.toBytes(), host.toBytes());
        long[] shape = {codes.rows(), 1, options.codebooks(), layout.elements(options)};
        boolean[] kept = {true, true, shape[2] > 1, shape[3] > 1 || layout != CodeLayout.INDICES};
        Tensor tensor =
            TestDevice.put(
                arena,
                Tensor.copyOf(
                    arena,
                    stored,
                    layout.dtype(),
                    IntStream.range(0, 4).filter(i -> kept[i]).mapToLong(i -> shape[i]).toArray()));
        Tensor mask = batch.maskTensor(arena, TestDevice.DEVICE);
        for (Implementation implementation : TestDevice.allImplementations()) {
          CodebookUsage ofTensor =
              CodebookUsage.create(options.toBuilder().implementation(implementation).build());
          ofTensor.add(tensor, layout, mask);
          assertArrayEquals(expected.toBytes(), ofTensor.toBytes());
        }
      }
    }
  }

  private static int groupSize(QuantizerOptions options, Random random) {
    int[] sizes =
        IntStream.rangeClosed(1, Math.min(63, options.codeDim()))
            .filter(size -> options.codeDim() % size == 0)
            .toArray();
    return sizes[random.nextInt(sizes.length)];
  }

  // What it says

  @Property(tries = 100)
  void theFiguresAreThoseOfTheOracle(@ForAll("codes") Codes codes) {
    CodebookUsage all = codes.usage();
    assertEquals(codes.rows(), all.rows());
    for (int codebook = 0; codebook < codes.options().codebooks(); codebook++) {
      CodebookUsage usage = codes.options().codebooks() == 1 ? all : all.codebook(codebook);
      UsageOracle oracle = new UsageOracle(codes.options(), codebook, codes.bits());
      assertEquals(codes.rows(), usage.rows());
      assertArrayEquals(oracle.balance(), usage.bitBalance(), 1e-15);
      double[] entropies = usage.bitEntropy();
      double[][] correlations = usage.bitCorrelation();
      for (int a = 0; a < codes.options().codeDim(); a++) {
        assertEquals(oracle.bitEntropy(a), entropies[a], 1e-12);
        for (int b = 0; b < codes.options().codeDim(); b++) {
          assertEquals(oracle.correlation(a, b), correlations[a][b], 1e-12);
        }
      }
      if (usage.countsCodes()) {
        Map<Long, Long> counts = oracle.counts();
        assertEquals(counts.size(), usage.codesUsed());
        assertEquals(oracle.entropy(), usage.entropy(), 1e-12);
        assertEquals(Math.exp(usage.entropy()), usage.perplexity());
        counts.forEach((index, count) -> assertEquals(count, usage.count(index)));
        assertEquals(oracle.sorted(true), usage.mostUsed(counts.size() + 1));
        assertEquals(oracle.sorted(false), usage.leastUsed(counts.size()));
        assertEquals(oracle.sorted(true).stream().limit(3).toList(), usage.mostUsed(3));
        for (long index : usage.unused(10)) {
          assertEquals(null, counts.get(index));
        }
      }
    }
  }

  /** Figures from single bits, by the textbook. */
  private static final class UsageOracle {
    private final QuantizerOptions options;
    private final List<byte[]> codes = new ArrayList<>();

    UsageOracle(QuantizerOptions options, int codebook, byte... bits) {
      this.options = options;
      int dim = options.codeDim();
      for (int first = codebook * dim; first < bits.length; first += options.rowLength()) {
        codes.add(Arrays.copyOfRange(bits, first, first + dim));
      }
    }

    Map<Long, Long> counts() {
      Map<Long, Long> counts = new HashMap<>();
      for (byte[] code : codes) {
        long index = 0;
        for (int d = 0; d < code.length; d++) {
          boolean least = options.convention().bitOrder() == BitOrder.LEAST_SIGNIFICANT_FIRST;
          index |= (long) code[d] << (least ? d : code.length - 1 - d);
        }
        counts.merge(index, 1L, Long::sum);
      }
      return counts;
    }

    List<CodeCount> sorted(boolean mostFirst) {
      Comparator<CodeCount> byCount = Comparator.comparingLong(CodeCount::count);
      return counts().entrySet().stream()
          .map(entry -> new CodeCount(entry.getKey(), entry.getValue()))
          .sorted((mostFirst ? byCount.reversed() : byCount).thenComparingLong(CodeCount::index))
          .toList();
    }

    double entropy() {
      if (codes.isEmpty()) {
        return Double.NaN;
      }
      double entropy = 0;
      for (long count : counts().values()) {
        double p = (double) count / codes.size();
        entropy -= p * Math.log(p);
      }
      return entropy;
    }

    double mean(int bit) {
      return codes.stream().mapToInt(code -> code[bit]).average().orElse(Double.NaN);
    }

    double[] balance() {
      return IntStream.range(0, options.codeDim()).mapToDouble(this::mean).toArray();
    }

    double bitEntropy(int bit) {
      double p = mean(bit);
      return p == 0 || p == 1 ? 0 : -p * Math.log(p) - (1 - p) * Math.log(1 - p);
    }

    /** By the deviations from the means. */
    double correlation(int a, int b) {
      double meanA = mean(a);
      double meanB = mean(b);
      if (!(meanA > 0 && meanA < 1 && meanB > 0 && meanB < 1)) {
        return Double.NaN;
      }
      double products = 0;
      double squaresA = 0;
      double squaresB = 0;
      for (byte[] code : codes) {
        products += (code[a] - meanA) * (code[b] - meanB);
        squaresA += Math.pow(code[a] - meanA, 2);
        squaresB += Math.pow(code[b] - meanB, 2);
      }
      return products / Math.sqrt(squaresA * squaresB);
    }
  }
}
