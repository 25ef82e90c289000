package io.github.bsq4j;

import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;

/**
 * Options in any combination, and a batch in their layout: of codes that are small enough for
 * {@link Oracle}, and of inverse temperatures from 0.01 to 1000. The entropies are of all rows that
 * count.
 */
record RandomCase(QuantizerOptions options, Batch batch, long seed) {

  static Arbitrary<RandomCase> any() {
    return Arbitraries.longs().map(RandomCase::of);
  }

  private static RandomCase of(long seed) {
    Random random = new Random(seed);
    return new RandomCase(options(random), batch(random), seed);
  }

  private static QuantizerOptions options(Random random) {
    int groups = random.nextBoolean() ? 1 : 1 + random.nextInt(4);
    int groupSize = 1 + random.nextInt(groups == 1 ? 9 : 6);
    QuantizerOptions.Builder builder =
        QuantizerOptions.builder(groups * groupSize)
            .codebooks(random.nextBoolean() ? 1 : 1 + random.nextInt(3))
            .groupSize(groupSize)
            .inverseTemperature(Math.pow(10, random.nextDouble(-2, 3)))
            .entropyForm(random.nextInt(3) == 0 ? EntropyForm.ANALYTICAL : EntropyForm.EXACT)
            .entropyFloor(floor(random))
            .entropyLossWeight(random.nextDouble(-1, 1))
            .sampleEntropyWeight(random.nextDouble(-1, 2))
            .diversityGamma(random.nextDouble(-1, 2))
            .dividedByInverseTemperature(random.nextBoolean())
            .commitment(random.nextBoolean() ? Commitment.SQUARE : Commitment.SQUARED_NORM)
            .commitmentWeight(random.nextBoolean() ? 0 : random.nextDouble(-1, 1))
            .straightThroughScale(random.nextDouble(-1, 2))
            .channelFirst(random.nextBoolean());
    if (random.nextInt(3) == 0) {
      builder.positiveOffset(random.nextDouble(-10, 10));
    }
    return builder.build();
  }

  private static EntropyFloor floor(Random random) {
    return switch (random.nextInt(4)) {
      case 0 -> EntropyFloor.clamp(1e-5);
      case 1 -> EntropyFloor.add(1e-8);
      case 2 -> EntropyFloor.clamp(Math.pow(10, random.nextDouble(-12, -1)));
      default -> EntropyFloor.add(Math.pow(10, random.nextDouble(-12, -1)));
    };
  }

  private static Batch batch(Random random) {
    int items = 1 + random.nextInt(4);
    int positions = 1 + random.nextInt(6);
    Batch batch = Batch.of(items, positions);
    return switch (random.nextInt(3)) {
      case 0 -> batch;
      case 1 -> batch.withLengths(random.longs(items, 0, positions + 1).toArray());
      default -> {
        byte[] mask = new byte[items * positions];
        for (int row = 0; row < mask.length; row++) {
          mask[row] = (byte) random.nextInt(-1, 2);
        }
        yield batch.withMask(mask);
      }
    };
  }

  RandomCase with(QuantizerOptions other) {
    return new RandomCase(other, batch, seed);
  }

  /** The shape of x as a tensor. */
  long[] shape() {
    return options.channelFirst()
        ? new long[] {batch.items(), options.rowLength(), batch.positions()}
        : new long[] {batch.items(), batch.positions(), options.rowLength()};
  }

  /** Vectors in the layout of the options: the same as this case's other ones of this number. */
  double[] vectors(int number) {
    return TestData.gaussian(seed + number, (int) batch.rows() * options.rowLength());
  }

  /** By what a loss of entropies near 1 and a commitment near 1 can be multiplied. */
  double weight() {
    double entropies =
        options.entropyLossWeight()
            / (options.dividedByInverseTemperature() ? options.inverseTemperature() : 1)
            * (Math.abs(options.sampleEntropyWeight()) + Math.abs(options.diversityGamma()));
    return Math.abs(entropies) + Math.abs(options.commitmentWeight());
  }
}
