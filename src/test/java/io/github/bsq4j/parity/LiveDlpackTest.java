package io.github.bsq4j.parity;

import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.bsq4j.NativeRuntime;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * PyTorch's own tensors in libbsq.so, and the other way, in a process of Python's that has both.
 * {@code -Dbsq4j.seed=N} runs the tensors of that run again.
 */
class LiveDlpackTest {
  private static final long SEED = Long.getLong("bsq4j.seed", new Random().nextInt(1_000_000));

  @Test
  void tensorsGoBothWaysWithoutACopy() throws Exception {
    assumeTrue(
        System.getenv("LD_PRELOAD") == null, "Python cannot load libbsq.so with a sanitizer");
    Python python =
        Python.find().orElseGet(() -> abort("no PyTorch beside this LibTorch: set BSQ4J_PYTHON"));
    python.run(
        "dlpack_with_torch.py",
        NativeRuntime.info().library().orElseThrow().toString(),
        Long.toString(SEED));
  }
}
