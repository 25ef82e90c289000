package io.github.bsq4j.parity;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.bsq4j.Batch;
import io.github.bsq4j.DType;
import io.github.bsq4j.Losses;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.device.OnDevice;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Entropies of a share of the rows. PyTorch would draw others, so no live case has it. Which rows
 * are drawn shows in the gradient: the others have none. The losses must be those of a mask that
 * leaves these rows, which live cases have.
 */
@OnDevice
@ParameterizedClass
@MethodSource("io.github.bsq4j.parity.Paths#all")
class EntropyFractionTest {
  private static final int ROWS = 60;
  private static final int CODE_DIM = 6;
  private static final int CODEBOOKS = 2;
  private static final int COLUMNS = CODE_DIM * CODEBOOKS;
  private static final double TOLERANCE = 1e-12;

  @Parameter private QuantizerPath path;

  private final double[] x = new Random(1).doubles(ROWS * COLUMNS, -1, 1).toArray();

  @ParameterizedTest
  @CsvSource({"0.5, 30", "0.01, 1", "0.049, 2", "0.999, 59", "1, 60"})
  void theLossesAreThoseOfTheDrawnRows(double fraction, int drawn) {
    byte[] all = new byte[ROWS];
    Arrays.fill(all, (byte) 1);
    assertLossesOfDrawnRows(fraction, drawn, all);
  }

  @ParameterizedTest
  @CsvSource({"0.5, 20", "0.01, 1", "1, 40"})
  void onlyRowsThatCountAreDrawn(double fraction, int drawn) {
    byte[] mask = new byte[ROWS];
    for (int row = 0; row < ROWS; row++) {
      mask[row] = (byte) (row % 3 == 0 ? 0 : 1);
    }
    assertLossesOfDrawnRows(fraction, drawn, mask);
  }

  private void assertLossesOfDrawnRows(double fraction, int drawn, byte[] mask) {
    QuantizerOptions options =
        builder().commitmentWeight(0.25).entropyFraction(fraction).entropySeed(3).build();
    byte[] rows = drawnRows(options.toBuilder().commitmentWeight(0).build(), mask);
    Losses losses = quantizer(options, mask).forward(x).losses();
    assertEquals(drawn, IntStream.range(0, ROWS).filter(row -> rows[row] != 0).count());
    assertEquals(drawn, losses.entropyRows());
    assertEquals(IntStream.range(0, ROWS).filter(row -> mask[row] != 0).count(), losses.rows());
    for (int row = 0; row < ROWS; row++) {
      assertEquals(0, rows[row] & ~mask[row]);
    }

    Losses ofDrawn = quantizer(builder().build(), rows).forward(x).losses();
    assertEquals(ofDrawn.perSampleEntropy(), losses.perSampleEntropy(), TOLERANCE);
    assertEquals(ofDrawn.codebookEntropy(), losses.codebookEntropy(), TOLERANCE);
    assertEquals(ofDrawn.entropyLoss(), losses.entropyLoss(), TOLERANCE);
    // The commitment is of all rows that count.
    QuantizerOptions commitmentAlone =
        builder().commitmentWeight(0.25).entropyLossWeight(0).build();
    PathQuantizer ofAll = quantizer(commitmentAlone, mask);
    double commitment = ofAll.forward(x).losses().commitment();
    assertEquals(commitment, losses.commitment(), TOLERANCE);
    assertEquals(ofDrawn.auxLoss() + 0.25 * commitment, losses.auxLoss(), TOLERANCE);

    double[] entropies = quantizer(builder().build(), rows).backward(x, 1);
    double[] commitments = ofAll.backward(x, 1);
    double[] expected =
        IntStream.range(0, x.length).mapToDouble(i -> entropies[i] + commitments[i]).toArray();
    assertArrayEquals(expected, quantizer(options, mask).backward(x, 1), TOLERANCE);
  }

  private static QuantizerOptions.Builder builder() {
    return QuantizerOptions.builder(CODE_DIM)
        .codebooks(CODEBOOKS)
        .groupSize(3)
        .inverseTemperature(2);
  }

  /** 1 for the rows that have a gradient. */
  private byte[] drawnRows(QuantizerOptions options, byte[] mask) {
    double[] gradient = quantizer(options, mask).backward(x, 1);
    byte[] drawn = new byte[ROWS];
    for (int i = 0; i < gradient.length; i++) {
      drawn[i / COLUMNS] |= (byte) (gradient[i] == 0 ? 0 : 1);
    }
    return drawn;
  }

  private PathQuantizer quantizer(QuantizerOptions options, byte[] mask) {
    return path.quantizer(options, DType.FLOAT64, ROWS, COLUMNS)
        .counting(Batch.of(ROWS).withMask(mask));
  }
}
