package io.github.bsq4j.parity;

import io.github.bsq4j.Commitment;
import io.github.bsq4j.EntropyFloor;
import io.github.bsq4j.EntropyForm;
import io.github.bsq4j.NonFinitePolicy;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.io.MalformedFileException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Who wrote a golden case: how its metadata and its fields translate, and which of them are right.
 */
enum GoldenOrigin {
  /**
   * BSQ-ViT's {@code BinarySphericalQuantizer} (Zhao, Xiong, Krähenbühl, arXiv:2406.07548) with
   * {@code l2_norm = True}, on x of unit norm.
   */
  BSQ_VIT("BSQ-ViT's quantizer") {
    /** Beyond, its own index is wrong: it adds up the bits in float32, whose numbers have 24. */
    private static final int MAX_INDEX_BITS = 24;

    @Override
    QuantizerOptions options(GoldenFile file) throws MalformedFileException {
      return QuantizerOptions.bsqVit(file.integer("code_dim"), file.integer("group_size"))
          .toBuilder()
          .entropyForm(
              file.choice(
                  "per_sample_entropy",
                  Map.of("group", EntropyForm.EXACT, "analytical", EntropyForm.ANALYTICAL)))
          .inverseTemperature(file.number("inv_temperature"))
          .entropyLossWeight(file.number("zeta"))
          .sampleEntropyWeight(file.number("gamma0"))
          .diversityGamma(file.number("gamma"))
          .commitmentWeight(file.number("commitment_weight"))
          .build();
    }

    @Override
    Map<String, Quantity> fields(GoldenFile file, QuantizerOptions options) {
      Map<String, Quantity> fields = new LinkedHashMap<>();
      fields.put("group_indices", Quantity.INDICES);
      if (options.codeDim() <= MAX_INDEX_BITS) {
        fields.put("indices", Quantity.UNGROUPED_INDICES);
      }
      fields.put("quantized", Quantity.QUANTIZED);
      fields.put("loss", Quantity.AUX_LOSS);
      fields.put("per_sample_entropy", Quantity.PER_SAMPLE_ENTROPY);
      fields.put("codebook_entropy", Quantity.CODEBOOK_ENTROPY);
      fields.put("grad_quant", Quantity.GRAD_QUANT);
      fields.put("grad_loss", Quantity.GRAD_AUX);
      return fields;
    }

    /** With a dimension for groups even if there is one. */
    @Override
    long[] indexShape(VectorShape vectors) {
      long[] rows = vectors.rowShape();
      long[] shape = Arrays.copyOf(rows, rows.length + 1);
      shape[rows.length] = vectors.options().groups();
      return shape;
    }

    /**
     * Its gradients are by the unit vector itself, so they have a part along it, which no vector
     * has before it is normalised.
     */
    @Override
    double[] gradientByX(double[] gradient, double[] x, VectorShape vectors) {
      double[] tangential = gradient.clone();
      int dim = vectors.options().codeDim();
      for (int code = 0; code < vectors.codes(); code++) {
        double square = 0;
        double along = 0;
        for (int d = 0; d < dim; d++) {
          int at = vectors.at(code, d);
          square += x[at] * x[at];
          along += x[at] * gradient[at];
        }
        for (int d = 0; d < dim; d++) {
          int at = vectors.at(code, d);
          tangential[at] -= along / square * x[at];
        }
      }
      return tangential;
    }
  },

  /** lucidrains' {@code LFQ} with {@code spherical = True}, in training mode. */
  LFQ("LFQ") {
    @Override
    QuantizerOptions options(GoldenFile file) throws MalformedFileException {
      return QuantizerOptions.lfqSpherical(file.integer("code_dim"), file.integer("num_codebooks"))
          .toBuilder()
          .inverseTemperature(file.number("inv_temperature"))
          .entropyLossWeight(file.number("entropy_loss_weight"))
          .diversityGamma(file.number("diversity_gamma"))
          .commitmentWeight(file.number("commitment_loss_weight"))
          .build();
    }

    /**
     * With a mask its batch entropy is the mean over the wrong axis, which makes it the per-sample
     * entropy, and so are the loss and its gradient wrong. That ours are right, the live comparison
     * shows.
     */
    @Override
    Map<String, Quantity> fields(GoldenFile file, QuantizerOptions options) {
      boolean masked = file.has("mask");
      Map<String, Quantity> fields = new LinkedHashMap<>();
      fields.put("indices", Quantity.INDICES);
      fields.put("quantized", Quantity.QUANTIZED);
      fields.put("codes_from_indices", Quantity.DECODED);
      if (!masked) {
        fields.put("aux_loss", Quantity.AUX_LOSS);
      }
      fields.put("per_sample_entropy", Quantity.PER_SAMPLE_ENTROPY);
      if (!masked) {
        fields.put("batch_entropy", Quantity.CODEBOOK_ENTROPY);
      }
      fields.put("commitment", Quantity.COMMITMENT);
      fields.put("grad_quant", Quantity.GRAD_QUANT);
      if (!masked) {
        fields.put("grad_aux", Quantity.GRAD_AUX);
      }
      return fields;
    }
  },

  /**
   * SpeechBrain's {@code BinarySphericalQuantizer}, or {@code make_cases.py}, which adds the other
   * options in the words of bsq.h, and every term of the losses.
   */
  SPEECH_BRAIN("SpeechBrain's quantizer") {
    @Override
    QuantizerOptions options(GoldenFile file) throws MalformedFileException {
      int dim = file.integer("code_dim");
      QuantizerOptions.Builder builder =
          QuantizerOptions.builder(dim)
              .inverseTemperature(file.number("inv_temperature"))
              .entropyLossWeight(file.number("entropy_loss_weight"))
              .diversityGamma(file.number("diversity_gamma"))
              .codebooks(file.integer("codebooks", 1))
              .groupSize(file.integer("group_size", dim))
              .entropyForm(
                  file.choice(
                      "entropy_form",
                      Map.of("exact", EntropyForm.EXACT, "analytical", EntropyForm.ANALYTICAL),
                      EntropyForm.EXACT))
              .entropyFloor(
                  new EntropyFloor(
                      file.choice(
                          "entropy_floor",
                          Map.of("clamp", EntropyFloor.Kind.CLAMP, "add", EntropyFloor.Kind.ADD),
                          EntropyFloor.Kind.CLAMP),
                      file.number("entropy_epsilon", EPSILON)))
              .sampleEntropyWeight(file.number("sample_entropy_weight", 1))
              .dividedByInverseTemperature(
                  file.choice("entropy_scale", Map.of("one", false, "temperature", true), false))
              .commitment(
                  file.choice(
                      "commitment",
                      Map.of("squared_norm", Commitment.SQUARED_NORM, "square", Commitment.SQUARE),
                      Commitment.SQUARED_NORM))
              .commitmentWeight(file.number("commitment_weight", 0))
              .straightThroughScale(file.number("straight_through_scale", 1))
              .channelFirst(file.choice("channel_first", Map.of("0", false, "1", true), false))
              .nonFinitePolicy(
                  file.choice(
                      "non_finite",
                      Map.of(
                          "refuse", NonFinitePolicy.REFUSE, "propagate", NonFinitePolicy.PROPAGATE),
                      NonFinitePolicy.REFUSE));
      if (file.says("positive_offset")) {
        builder.positiveOffset(file.number("positive_offset"));
      }
      return builder.build();
    }

    @Override
    Map<String, Quantity> fields(GoldenFile file, QuantizerOptions options) {
      Map<String, Quantity> fields = new LinkedHashMap<>();
      fields.put("indices", Quantity.INDICES);
      putIfThere(fields, file, "rows", Quantity.ROWS);
      fields.put("quantized", Quantity.QUANTIZED);
      fields.put("aux_loss", Quantity.AUX_LOSS);
      putIfThere(fields, file, "per_sample_entropy", Quantity.PER_SAMPLE_ENTROPY);
      putIfThere(fields, file, "codebook_entropy", Quantity.CODEBOOK_ENTROPY);
      putIfThere(fields, file, "entropy_loss", Quantity.ENTROPY_LOSS);
      putIfThere(fields, file, "commitment", Quantity.COMMITMENT);
      if (file.has("cotangent")) {
        fields.put("grad_quant", Quantity.GRAD_QUANT);
        fields.put("grad_aux", Quantity.GRAD_AUX);
      }
      return fields;
    }
  };

  private static final double EPSILON = 1e-5;

  private final String title;

  GoldenOrigin(String title) {
    this.title = title;
  }

  static GoldenOrigin of(Map<String, String> metadata) {
    if (metadata.containsKey("zeta")) {
      return BSQ_VIT;
    }
    return metadata.containsKey("num_codebooks") ? LFQ : SPEECH_BRAIN;
  }

  /**
   * The quantizer that the metadata describe.
   *
   * @throws IllegalArgumentException if it is none that there can be
   */
  abstract QuantizerOptions options(GoldenFile file) throws MalformedFileException;

  /** The fields that can be compared, in order. */
  abstract Map<String, Quantity> fields(GoldenFile file, QuantizerOptions options);

  /** The shape of the field that has the indices. */
  long[] indexShape(VectorShape vectors) {
    return vectors.indexShape();
  }

  /** A gradient as it is by x, whatever the file has. */
  double[] gradientByX(double[] gradient, double[] x, VectorShape vectors) {
    return gradient;
  }

  /** As messages name it. */
  @Override
  public String toString() {
    return title;
  }

  private static void putIfThere(
      Map<String, Quantity> fields, GoldenFile file, String name, Quantity quantity) {
    if (file.has(name)) {
      fields.put(name, quantity);
    }
  }
}
