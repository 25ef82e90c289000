package io.github.bsq4j.bench.peers;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;

/**
 * Times one peer at one problem, in a JVM of its own: several LibTorches do not fit into one.
 *
 * <pre>
 * PeerBenchmark PEER CODE_DIM ROWS INV_TEMPERATURE THREADS SECONDS FILE
 * </pre>
 *
 * <p>{@code bsq4j} makes the problem and writes it to FILE with its answer; each other peer reads
 * it there, and has to give the same answer before it is timed. Prints a line of JSON for each
 * work. {@code scripts/bench.sh} runs it, and {@code time_pytorch.py} does the same in Python.
 */
public final class PeerBenchmark {
  private static final Map<String, Function<Problem, Peer>> PEERS =
      Map.of(
          "bsq4j", Bsq4jPeer::new,
          "plain-java", PlainJavaPeer::new,
          "bytedeco", BytedecoPeer::new,
          "djl", DjlPeer::new);

  /** How an allocation fails in LibTorch, where there is no other kind of exception for it. */
  private static final String NO_MEMORY = "allocate memory";

  private final String name;
  private final Problem problem;
  private final Peer peer;
  private final double seconds;

  private PeerBenchmark(String name, Problem problem, Peer peer, double seconds) {
    this.name = name;
    this.problem = problem;
    this.peer = peer;
    this.seconds = seconds;
  }

  /** Runs it. */
  public static void main(String[] args) throws IOException {
    String name = args[0];
    int codeDim = Integer.parseInt(args[1]);
    int rows = Integer.parseInt(args[2]);
    double inverseTemperature = Double.parseDouble(args[3]);
    int threads = Integer.parseInt(args[4]);
    double seconds = Double.parseDouble(args[5]);
    Path file = Path.of(args[6]);

    if (name.equals("bsq4j")) {
      Problem problem = Problem.random(codeDim, rows, inverseTemperature, threads);
      try (Peer peer = new Bsq4jPeer(problem)) {
        Answer answer = new Answer(peer.indices(), peer.auxLoss(), peer.gradX());
        new Exchange(problem, answer).write(file);
        new PeerBenchmark(name, problem, peer, seconds).run(answer);
      }
    } else {
      Exchange exchange = Exchange.read(file, codeDim, rows, inverseTemperature, threads);
      try (Peer peer = PEERS.get(name).apply(exchange.problem())) {
        new PeerBenchmark(name, exchange.problem(), peer, seconds).run(exchange.answer());
      }
    }
  }

  private void run(Answer expected) {
    measure("encode", () -> expected.requireIndices(peer.indices()), peer::encode);
    measure("forward", () -> expected.requireAuxLoss(peer.auxLoss()), peer::forward);
    measure("forward_backward", () -> expected.requireGradX(peer.gradX()), peer::forwardBackward);
  }

  private void measure(String work, Runnable check, Runnable call) {
    JsonObject json = new JsonObject();
    json.addProperty("peer", name);
    json.addProperty("peer_version", peer.version());
    json.addProperty("code_dim", problem.codeDim());
    json.addProperty("rows", problem.rows());
    json.addProperty("inv_temperature", problem.inverseTemperature());
    json.addProperty("threads", problem.threads());
    json.addProperty("work", work);
    try {
      check.run();
      Timing timing = Timing.of(seconds, call);
      JsonObject spread = new JsonObject();
      spread.addProperty("min", rounded(timing.min()));
      spread.addProperty("median", rounded(timing.median()));
      spread.addProperty("max", rounded(timing.max()));
      json.add("seconds", spread);
      json.addProperty("rounds", timing.rounds());
    } catch (RuntimeException | OutOfMemoryError e) {
      if (!isLackOfMemory(e)) {
        throw e;
      }
      json.addProperty("failure", "not enough memory");
    }
    System.out.println(json);
  }

  /** Four digits; more would be noise. */
  private static double rounded(double value) {
    return Double.parseDouble(String.format(Locale.ROOT, "%.4g", value));
  }

  private static boolean isLackOfMemory(Throwable failure) {
    return failure instanceof OutOfMemoryError || String.valueOf(failure).contains(NO_MEMORY);
  }
}
