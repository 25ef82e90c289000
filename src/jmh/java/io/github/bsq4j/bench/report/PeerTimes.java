package io.github.bsq4j.bench.report;

import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * What {@code scripts/bench.sh peers} measured.
 *
 * @param machine where
 * @param measurements one for each peer, problem and work
 */
record PeerTimes(Machine machine, List<Measurement> measurements) {

  /**
   * One work of one peer at one problem.
   *
   * @param seconds null if it failed
   * @param failure null if it did not
   */
  record Measurement(
      String peer,
      String peerVersion,
      int codeDim,
      int rows,
      double invTemperature,
      String work,
      Spread seconds,
      String failure) {}

  /** The peers, in the order in which they were measured. */
  List<String> peers() {
    return measurements.stream().map(Measurement::peer).distinct().toList();
  }

  String version(String peer) {
    return find(measurement -> measurement.peer.equals(peer)).orElseThrow().peerVersion;
  }

  Optional<Measurement> find(Predicate<Measurement> condition) {
    return measurements.stream().filter(condition).findFirst();
  }
}
